// @ts-check
/** Elements from data. Text is only ever set as text. */

/**
 * @param {Element} element
 * @param {Record<string, any>} attributes undefined and false take one away; names that begin with
 *   "on" are listeners
 * @param {(Node | string)[]} children to append
 */
export function filled(element, attributes, children = []) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/**
 * @param {string} tag
 * @param {Record<string, any>} attributes
 * @param {(Node | string)[]} children
 * @returns {HTMLElement}
 */
export function html(tag, attributes = {}, ...children) {
  return /** @type {HTMLElement} */ (filled(document.createElement(tag), attributes, children));
}

/**
 * @param {string} tag
 * @param {Record<string, any>} attributes
 * @param {(Node | string)[]} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  return /** @type {SVGElement} */ (filled(element, attributes, children));
}

/** Let the arrow keys go from one child of an element to the next, and round. @param {HTMLElement} group */
export function arrowKeys(group) {
  group.addEventListener("keydown", (event) => {
    const step = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: -1 })[event.key];
    if (!step) return;
    const all = [...group.children];
    const next = all.indexOf(/** @type {Element} */ (document.activeElement)) + step;
    /** @type {HTMLElement | undefined} */ (all[(next + all.length) % all.length])?.focus();
    event.preventDefault();
    event.stopPropagation();
  });
}

/**
 * A number in few characters.
 * @param {number} value
 */
export function short(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}
