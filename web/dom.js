// @ts-check
/** Elements from data. Text is only ever set as text. */

/** @typedef {Record<string, string | number | boolean | undefined | (() => void)>} Attributes */

/**
 * @param {Element} element
 * @param {Attributes} attributes undefined and false remove one; functions listen, by names
 *   such as onclick
 * @param {(Node | string)[]} children to append
 */
export function filled(element, attributes, children = []) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/**
 * @param {string} tag
 * @param {Attributes} attributes
 * @param {(Node | string)[]} children
 * @returns {HTMLElement}
 */
export function html(tag, attributes = {}, ...children) {
  return /** @type {HTMLElement} */ (filled(document.createElement(tag), attributes, children));
}

/**
 * @param {string} tag
 * @param {Attributes} attributes
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
 * What a stage does with the pointer and the keys.
 * @typedef {object} Drag
 * @property {(event: PointerEvent) => void} down
 * @property {(event: PointerEvent) => void} move
 * @property {() => void} up also where the drag was interrupted
 * @property {(event: KeyboardEvent) => void} key
 */

/** Let handles on a stage be dragged, and moved with the keys. @param {HTMLElement} stage @param {Drag} drag */
export function listenForDrags(stage, { down, move, up, key }) {
  stage.addEventListener("pointerdown", down);
  stage.addEventListener("pointermove", move);
  stage.addEventListener("pointerup", up);
  // Also where the frontend hides the node under the pointer.
  stage.addEventListener("lostpointercapture", up);
  // A press would take the focus from the handle that it has just given it to.
  stage.addEventListener("mousedown", (event) => event.preventDefault());
  stage.addEventListener("keydown", key);
}

/**
 * The step of an arrow key, to the right and down; with Shift ten times as far.
 * @param {KeyboardEvent} event
 * @param {number} size
 * @returns {[number, number] | undefined} undefined for any other key
 */
export function arrowStep({ key, shiftKey }, size) {
  const far = shiftKey ? 10 * size : size;
  /** @type {Record<string, [number, number]>} */
  const steps = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] };
  return steps[key];
}

/** Give the focus to what a selector finds in an element. @param {HTMLElement} stage @param {string} selector */
export function focusHandle(stage, selector) {
  /** @type {SVGElement | null} */ (stage.querySelector(selector))?.focus({ preventScroll: true });
}

/** The colour of a curve or word by its number; below 0 that of the text. @param {number} number */
export const colorOf = (number) => (number < 0 ? "var(--eg-text)" : `var(--eg-series-${number % 8})`);

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
