// @ts-check
/** Draws boxes, points and outlines over a picture. */
import { svg } from "./dom.js";
import { HANDLES, anchor, rect } from "./layout_data.js";
import { colorOf } from "./monitor_view.js";

/** @typedef {import("./layout_data.js").Item} Item */

/**
 * @param {Item[]} items the node's own last, on top
 * @param {string} picture address of what lies below, or ""
 * @param {number} width
 * @param {number} height
 * @param {string} name of the group, for screen readers
 */
export function drawn(items, picture, width, height, name) {
  return svg(
    "svg",
    { class: "eg-plot eg-layout-plot", width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": name },
    ...(picture
      ? [svg("image", { href: picture, width, height, preserveAspectRatio: "none" })]
      : grid(width, height)),
    ...items.flatMap((item) => (item.own ? own(item, width, height) : [ghost(item, width, height)])),
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
function ghost(item, width, height) {
  return svg("g", { class: "eg-ghost", style: `color:${colorOf(item.color)}` }, body(item, width, height), caption(item, width, height));
}

/**
 * @param {Item} item
 * @param {number} width
 * @param {number} height
 */
function own(item, width, height) {
  const handles = Object.keys(HANDLES[item.kind]).map((name) => {
    const [x, y] = anchor(item, name);
    return svg("circle", {
      class: name === "turn" ? "eg-grip eg-turn" : "eg-grip",
      "data-handle": name,
      cx: x * width,
      cy: y * height,
      r: name === "move" && item.kind !== "point" ? 3 : 5,
      tabindex: 0,
      role: "slider",
      "aria-label": `${item.label} ${name}`,
      "aria-valuetext": Object.values(item.values).join(", "),
    });
  });
  return [
    svg("g", { style: `color:${colorOf(item.color)}` }, body(item, width, height), caption(item, width, height), ...handles),
  ];
}

/**
 * @param {Item} item
 * @param {number} width
 * @param {number} height
 */
function body(item, width, height) {
  const { left, top, right, bottom } = rect(item);
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  if (item.kind === "point") {
    const [px, py] = [x * width, y * height];
    return svg("path", { class: "eg-cross", d: `M${px - 12} ${py}H${px + 12}M${px} ${py - 12}V${py + 12}` });
  }
  return svg("rect", {
    class: item.kind === "shift" ? "eg-box eg-outline" : "eg-box",
    x: left * width,
    y: top * height,
    width: Math.max(0, right - left) * width,
    height: Math.max(0, bottom - top) * height,
    transform: item.values.angle ? `rotate(${item.values.angle} ${x * width} ${y * height})` : undefined,
  });
}

/**
 * @param {Item} item
 * @param {number} width
 * @param {number} height
 */
function caption(item, width, height) {
  const { left, top } = rect(item);
  const below = item.kind === "point" ? 18 : 12;
  const x = Math.min(Math.max(left * width + 4, 2), width - 20);
  const y = Math.min(Math.max(top * height + below, 12), height - 4);
  return svg("text", { class: "eg-caption", x, y }, item.label);
}
