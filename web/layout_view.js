// @ts-check
/** Draws boxes, points and outlines over an image. */
import { colorOf, filled, svg } from "./dom.js";
import { HANDLES, handlePosition, rect } from "./layout_data.js";

/** @typedef {import("./layout_data.js").Item} Item */

/**
 * @param {Item[]} items the node's own last, on top
 * @param {string} image address of the image below, or ""
 * @param {number} width
 * @param {number} height
 * @param {string} name of the group, for screen readers
 */
export function layoutPlot(items, image, width, height, name) {
  return svg(
    "svg",
    { class: "eg-plot eg-layout-plot", width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": name },
    ...(image
      ? [svg("image", { href: image, width, height, preserveAspectRatio: "none" })]
      : grid(width, height)),
    ...items.map((item) => group(item, width, height)),
  );
}

/** @param {number} width @param {number} height */
function grid(width, height) {
  return [1 / 3, 2 / 3].flatMap((part) => [
    svg("line", { class: "eg-grid", x1: part * width, x2: part * width, y1: 0, y2: height }),
    svg("line", { class: "eg-grid", x1: 0, x2: width, y1: part * height, y2: part * height }),
  ]);
}

/**
 * @param {Item} item
 * @param {number} width
 * @param {number} height
 */
function group(item, width, height) {
  const kinds = { box: "eg-box", frame: "eg-box", shift: "eg-box eg-outline", point: "eg-cross" };
  const shape = svg(item.kind === "point" ? "path" : "rect", { class: kinds[/** @type {keyof typeof kinds} */ (item.kind)] });
  const made = svg(
    "g",
    { class: item.own ? "eg-own" : "eg-ghost", style: `color:${colorOf(item.color)}` },
    shape,
    svg("text", { class: "eg-caption" }, item.label),
    ...(item.own ? grips(item) : []),
  );
  moveTo(made, item, width, height);
  return made;
}

/** The handles of an item. @param {Item} item */
const grips = (item) =>
  Object.keys(HANDLES[item.kind]).map((name) =>
    svg("circle", {
      class: name === "turn" ? "eg-grip eg-turn" : "eg-grip",
      "data-handle": name,
      r: name === "move" && item.kind !== "point" ? 3 : 5,
      tabindex: 0,
      role: "slider",
      "aria-label": `${item.label} ${name}`,
    }),
  );

/**
 * Move the elements of an item to its position: in a drag nothing else need be drawn.
 * @param {Element} made
 * @param {Item} item
 * @param {number} width
 * @param {number} height
 */
export function moveTo(made, item, width, height) {
  const [shape, caption, ...handles] = made.children;
  filled(shape, outline(item, width, height));
  filled(caption, captioned(item, width, height));
  for (const handle of handles) {
    const [x, y] = handlePosition(item, handle.getAttribute("data-handle") ?? "");
    filled(handle, { cx: x * width, cy: y * height, "aria-valuetext": Object.values(item.values).join(", ") });
  }
}

/**
 * @param {Item} item
 * @param {number} width
 * @param {number} height
 */
function outline(item, width, height) {
  const { left, top, right, bottom } = rect(item);
  const [x, y] = [((left + right) / 2) * width, ((top + bottom) / 2) * height];
  if (item.kind === "point") return { d: `M${x - 12} ${y}H${x + 12}M${x} ${y - 12}V${y + 12}` };
  return {
    x: left * width,
    y: top * height,
    width: Math.max(0, right - left) * width,
    height: Math.max(0, bottom - top) * height,
    transform: item.values.angle ? `rotate(${item.values.angle} ${x} ${y})` : undefined,
  };
}

/**
 * @param {Item} item
 * @param {number} width
 * @param {number} height
 */
function captioned(item, width, height) {
  const { left, top } = rect(item);
  const below = item.kind === "point" ? 18 : 12;
  const x = Math.min(Math.max(left * width + 4, 2), width - 20);
  return { x, y: Math.min(Math.max(top * height + below, 12), height - 4) };
}
