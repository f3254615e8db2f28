// @ts-check
/**
 * Boxes, points and moved outlines on a picture whose sides are 1. No host, no drawing.
 *
 * @typedef {Record<string, number>} Values by widget
 * @typedef {{kind: string, values: Values, label: string, color: number, own: boolean}} Item
 * @typedef {{left: number, top: number, right: number, bottom: number}} Rect
 */

/** The widgets of each node with a place in the picture. @type {Record<string, {kind: string, widgets: string[]}>} */
export const NODES = {
  EGEnergyBox: { kind: "box", widgets: ["left", "top", "right", "bottom"] },
  EGEnergyPosition: { kind: "point", widgets: ["x", "y"] },
  EGEnergyShape: { kind: "shift", widgets: ["shift_x", "shift_y", "scale"] },
};

export const GRID = 0.01;
const LEAST = 0.02;
/** How near a guide line pulls. */
const PULL = 0.015;
const THIRDS = [0, 1 / 3, 0.5, 2 / 3, 1];

/**
 * What an item covers. An outline that was moved stands for itself: half the picture, moved and scaled.
 * @param {Item} item
 * @returns {Rect}
 */
export function rect({ kind, values }) {
  if (kind === "box") return /** @type {any} */ (values);
  if (kind === "point") return { left: values.x, right: values.x, top: values.y, bottom: values.y };
  const half = 0.25 * values.scale;
  const [x, y] = [0.5 + values.shift_x, 0.5 + values.shift_y];
  return { left: x - half, right: x + half, top: y - half, bottom: y + half };
}

/** Handles of a kind of item: which sides each one moves. @type {Record<string, Record<string, string[]>>} */
export const HANDLES = {
  box: {
    move: ["left", "right", "top", "bottom"],
    nw: ["left", "top"],
    ne: ["right", "top"],
    sw: ["left", "bottom"],
    se: ["right", "bottom"],
  },
  point: { move: [] },
  shift: { move: [], se: [] },
};

/**
 * Where a handle lies.
 * @param {Item} item
 * @param {string} handle
 * @returns {[number, number]}
 */
export function anchor(item, handle) {
  const { left, top, right, bottom } = rect(item);
  if (handle === "move") return [(left + right) / 2, (top + bottom) / 2];
  return [handle.includes("w") ? left : right, handle.includes("n") ? top : bottom];
}

/**
 * The handle that a press at a place means, or "".
 * @param {Item} item
 * @param {number} x
 * @param {number} y
 * @param {(x: number, y: number, at: [number, number]) => boolean} near
 */
export function hit(item, x, y, near) {
  const corners = Object.keys(HANDLES[item.kind]).filter((name) => name !== "move");
  const corner = corners.find((name) => near(x, y, anchor(item, name)));
  if (corner) return corner;
  const { left, top, right, bottom } = rect(item);
  const inside = x >= left && x <= right && y >= top && y <= bottom;
  return inside || item.kind === "point" ? "move" : "";
}

/**
 * The values after a handle has been dragged.
 * @param {Item} item as it was when the drag began
 * @param {string} handle
 * @param {number} dx
 * @param {number} dy
 * @param {(axis: "x" | "y", value: number) => number} snap
 * @returns {Values}
 */
export function dragged(item, handle, dx, dy, snap) {
  const { kind, values } = item;
  if (kind === "point") return { x: within(snap("x", values.x + dx)), y: within(snap("y", values.y + dy)) };
  if (kind === "shift") return shifted(values, handle, dx, dy, snap);
  const box = /** @type {Rect} */ (/** @type {unknown} */ (values));
  if (handle === "move") return carried(box, dx, dy, snap);
  const result = { ...values };
  for (const side of HANDLES.box[handle]) {
    const across = side === "left" || side === "right";
    const to = within(snap(across ? "x" : "y", values[side] + (across ? dx : dy)));
    const first = side === "left" || side === "top";
    const other = values[{ left: "right", right: "left", top: "bottom", bottom: "top" }[side] ?? ""];
    result[side] = tidy(first ? Math.min(to, other - LEAST) : Math.max(to, other + LEAST));
  }
  return result;
}

/** @param {Rect} box @param {number} dx @param {number} dy @param {(axis: "x" | "y", value: number) => number} snap */
function carried({ left, top, right, bottom }, dx, dy, snap) {
  const place = (/** @type {"x" | "y"} */ axis, /** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ by) => {
    const [first, last] = [snap(axis, low + by), snap(axis, high + by)];
    // The side that a guide line pulls wins.
    const moved = Math.abs(first - low - by) >= Math.abs(last - high - by) ? first - low : last - high;
    const kept = Math.min(Math.max(moved, -low), 1 - high);
    return [tidy(low + kept), tidy(high + kept)];
  };
  const [l, r] = place("x", left, right, dx);
  const [t, b] = place("y", top, bottom, dy);
  return { left: l, top: t, right: r, bottom: b };
}

/** @param {Values} values @param {string} handle @param {number} dx @param {number} dy @param {(axis: "x" | "y", value: number) => number} snap */
function shifted(values, handle, dx, dy, snap) {
  if (handle === "se") {
    const scale = tidy(Math.max(0.1, values.scale + 2 * (dx + dy)));
    return { ...values, scale };
  }
  const to = (/** @type {"x" | "y"} */ axis, /** @type {number} */ value) =>
    tidy(Math.min(1, Math.max(-1, snap(axis, 0.5 + value) - 0.5)));
  return { ...values, shift_x: to("x", values.shift_x + dx), shift_y: to("y", values.shift_y + dy) };
}

/** @param {number} value */
const within = (value) => tidy(Math.min(1, Math.max(0, value)));

/** @param {number} value */
export const tidy = (value) => Number(value.toFixed(4));

/**
 * Pulls to the thirds, the middle and the edges of other items, else to a grid.
 * @param {Item[]} others
 * @returns {(axis: "x" | "y", value: number) => number}
 */
export function snapper(others) {
  const lines = (/** @type {(one: Rect) => number[]} */ sides) => [...THIRDS, ...others.flatMap((one) => sides(rect(one)))];
  const guides = { x: lines((r) => [r.left, r.right]), y: lines((r) => [r.top, r.bottom]) };
  return (axis, value) => {
    const near = guides[axis].filter((line) => Math.abs(line - value) <= PULL);
    if (near.length) return near.reduce((a, b) => (Math.abs(a - value) <= Math.abs(b - value) ? a : b));
    return Math.round(value / GRID) * GRID;
  };
}
