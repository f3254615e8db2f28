// @ts-check
/**
 * What dragging a handle does to an item's values. No host, no drawing.
 *
 * @typedef {import("./layout_data.js").Item} Item
 * @typedef {import("./layout_data.js").Rect} Rect
 * @typedef {import("./layout_data.js").Values} Values
 * @typedef {(axis: "x" | "y" | "angle", values: number[]) => number} Snap
 *   the distance to move all values so that one of them lies on a guide line or on the grid
 */
import { GRID, HANDLES, handlePosition, angleOf, outerRect, middle, rect, turnedVector } from "./layout_data.js";

const LEAST = 0.02;
/** Distance within which a guide line attracts. */
const PULL = 0.015;
const THIRDS = [0, 1 / 3, 0.5, 2 / 3, 1];
/** Angles snap to multiples of these degrees. */
const NOTCH = 15;

/**
 * The values after a handle has been dragged.
 * @param {Item} item as it was when the drag began
 * @param {string} handle
 * @param {number} dx
 * @param {number} dy
 * @param {Snap} snap
 * @returns {Values}
 */
export function valuesAfterDrag(item, handle, dx, dy, snap) {
  const { kind, values } = item;
  const onto = (/** @type {"x" | "y" | "angle"} */ axis, /** @type {number} */ value) => value + snap(axis, [value]);
  if (kind === "point") return { x: within(onto("x", values.x + dx)), y: within(onto("y", values.y + dy)) };
  if (handle === "turn") return { ...values, angle: upright(onto("angle", pointed(item, dx, dy))) };
  if (kind === "shift") return shifted(item, handle, dx, dy, snap);
  if (handle === "move") return { ...values, ...carried(item, dx, dy, snap) };
  return angleOf(item) ? stretched(item, handle, dx, dy) : resized(item, handle, dx, dy, snap);
}

/** The values after a turn with the keys. @param {Item} item @param {number} degrees */
export const turnedBy = (item, degrees) => ({ ...item.values, angle: upright(angleOf(item) + degrees) });

/** Degrees in [-180, 180]. @param {number} degrees */
const upright = (degrees) => Math.round(degrees - 360 * Math.round(degrees / 360));

/** The angle from the middle of an item to where its turning handle was dragged. @param {Item} item @param {number} dx @param {number} dy */
function pointed(item, dx, dy) {
  const [x, y] = handlePosition(item, "turn");
  const [cx, cy] = middle(rect(item));
  return 90 + (Math.atan2(y + dy - cy, (x + dx - cx) * item.aspect) * 180) / Math.PI;
}

/** @param {Item} item @param {string} handle @param {number} dx @param {number} dy @param {Snap} snap */
function resized({ values }, handle, dx, dy, snap) {
  const result = { ...values };
  for (const side of HANDLES.box[handle]) {
    const across = side === "left" || side === "right";
    const at = values[side] + (across ? dx : dy);
    const to = within(at + snap(across ? "x" : "y", [at]));
    const first = side === "left" || side === "top";
    const other = values[{ left: "right", right: "left", top: "bottom", bottom: "top" }[side] ?? ""];
    result[side] = rounded(first ? Math.min(to, other - LEAST) : Math.max(to, other + LEAST));
  }
  return result;
}

/** Resize a turned box: the opposite corner stays where it is. @param {Item} item @param {string} handle @param {number} dx @param {number} dy */
function stretched(item, handle, dx, dy) {
  const across = handle.replace(/./g, (side) => ({ n: "s", s: "n", w: "e", e: "w" })[side] ?? "");
  const [[fixedX, fixedY], [x, y]] = [handlePosition(item, across), handlePosition(item, handle)];
  const [wide, tall] = turnedVector([x + dx - fixedX, y + dy - fixedY], -angleOf(item), item.aspect);
  const [toRight, down] = [handle.includes("e") ? 1 : -1, handle.includes("s") ? 1 : -1];
  const size = [Math.max(LEAST, wide * toRight), Math.max(LEAST, tall * down)];
  const [halfX, halfY] = turnedVector([(size[0] * toRight) / 2, (size[1] * down) / 2], angleOf(item), item.aspect);
  const [cx, cy] = [fixedX + halfX, fixedY + halfY];
  const box = { left: cx - size[0] / 2, right: cx + size[0] / 2, top: cy - size[1] / 2, bottom: cy + size[1] / 2 };
  const sides = Object.entries(box).map(([side, value]) => [side, within(value)]);
  const to = Object.fromEntries(sides);
  return to.left < to.right && to.top < to.bottom ? { ...item.values, ...to } : item.values;
}

/** @param {Item} item @param {number} dx @param {number} dy @param {Snap} snap */
function carried(item, dx, dy, snap) {
  const { left, top, right, bottom } = rect(item);
  const place = (/** @type {"x" | "y"} */ axis, /** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ by) => {
    // The middle of a turned box snaps, and either side of any other.
    const ends = angleOf(item) ? [(low + high) / 2] : [low, high];
    const moved = by + snap(axis, ends.map((end) => end + by));
    const kept = Math.min(Math.max(moved, -low), 1 - high);
    return [rounded(low + kept), rounded(high + kept)];
  };
  const [l, r] = place("x", left, right, dx);
  const [t, b] = place("y", top, bottom, dy);
  return { left: l, top: t, right: r, bottom: b };
}

/** @param {Item} item @param {string} handle @param {number} dx @param {number} dy @param {Snap} snap */
function shifted(item, handle, dx, dy, snap) {
  const { values } = item;
  if (handle === "se") {
    const [right, down] = turnedVector([dx, dy], -angleOf(item), item.aspect);
    return { ...values, scale: rounded(Math.max(0.1, values.scale + 2 * (right + down))) };
  }
  const to = (/** @type {"x" | "y"} */ axis, /** @type {number} */ value) =>
    rounded(Math.min(1, Math.max(-1, value + snap(axis, [0.5 + value]))));
  return { ...values, shift_x: to("x", values.shift_x + dx), shift_y: to("y", values.shift_y + dy) };
}

/** @param {number} value */
const within = (value) => rounded(Math.min(1, Math.max(0, value)));

/** @param {number} value */
export const rounded = (value) => Number(value.toFixed(4));

/**
 * Snaps to the nearest of the thirds, the middle and the edges of other items, else to a grid; angles to notches.
 * @param {Item[]} others
 * @returns {Snap}
 */
export function snapper(others) {
  const lines = (/** @type {(one: Rect) => number[]} */ sides) => [...THIRDS, ...others.flatMap((one) => sides(outerRect(one)))];
  const guides = { x: lines((r) => [r.left, r.right]), y: lines((r) => [r.top, r.bottom]) };
  return (axis, values) => {
    const grid = axis === "angle" ? NOTCH : GRID;
    const lines = axis === "angle" ? [] : guides[axis];
    const pulls = values.flatMap((value) => lines.map((line) => line - value)).filter((pull) => Math.abs(pull) <= PULL);
    if (pulls.length) return pulls.reduce((a, b) => (Math.abs(a) <= Math.abs(b) ? a : b));
    return Math.round(values[0] / grid) * grid - values[0];
  };
}
