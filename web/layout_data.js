// @ts-check
/**
 * Boxes, points and moved outlines on a picture whose sides are 1. No host, no drawing.
 *
 * @typedef {Record<string, number>} Values by widget
 * @typedef {{kind: string, values: Values, label: string, color: number, own: boolean, aspect: number}} Item
 *   aspect is the picture's width by its height
 * @typedef {[number, number]} Spot x and y
 * @typedef {(axis: "x" | "y" | "angle", value: number) => number} Snap
 * @typedef {{left: number, top: number, right: number, bottom: number}} Rect
 */

/** The widgets of each node with a place in the picture. @type {Record<string, {kind: string, widgets: string[]}>} */
export const NODES = {
  EGEnergyBox: { kind: "box", widgets: ["left", "top", "right", "bottom", "angle"] },
  EGEnergyPosition: { kind: "point", widgets: ["x", "y"] },
  EGEnergyShape: { kind: "shift", widgets: ["shift_x", "shift_y", "scale", "angle"] },
};

export const GRID = 0.01;
const LEAST = 0.02;
/** How near a guide line pulls. */
const PULL = 0.015;
const THIRDS = [0, 1 / 3, 0.5, 2 / 3, 1];
/** Degrees that a turn snaps to. */
const NOTCH = 15;

/**
 * What an item covers before it is turned. An outline that was moved stands for itself: half the picture, moved and scaled.
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
    turn: [],
  },
  point: { move: [] },
  shift: { move: [], se: [], turn: [] },
};

/**
 * A way, clockwise by degrees.
 * @param {Spot} way
 * @param {number} degrees
 * @param {number} aspect
 * @returns {Spot}
 */
function turned([x, y], degrees, aspect) {
  const [sine, cosine] = [Math.sin, Math.cos].map((wave) => wave((degrees * Math.PI) / 180));
  return [cosine * x - (sine * y) / aspect, sine * x * aspect + cosine * y];
}

/** @param {Rect} rect @returns {Spot} */
const middle = ({ left, top, right, bottom }) => [(left + right) / 2, (top + bottom) / 2];

/** @param {Item} item */
const angleOf = ({ values }) => values.angle ?? 0;

/**
 * Where a place of an item comes to when it is turned.
 * @param {Item} item
 * @param {Spot} place
 * @returns {Spot}
 */
function placed(item, [x, y]) {
  const [cx, cy] = middle(rect(item));
  const [dx, dy] = turned([x - cx, y - cy], angleOf(item), item.aspect);
  return [cx + dx, cy + dy];
}

/** What an item covers when it is turned, with its corners. @param {Item} item @returns {Rect} */
function bounds(item) {
  const { left, top, right, bottom } = rect(item);
  const corners = [[left, top], [right, top], [left, bottom], [right, bottom]];
  const all = corners.map((corner) => placed(item, /** @type {Spot} */ (corner)));
  const [x, y] = [all.map((corner) => corner[0]), all.map((corner) => corner[1])];
  return { left: Math.min(...x), right: Math.max(...x), top: Math.min(...y), bottom: Math.max(...y) };
}

/**
 * Where a handle lies.
 * @param {Item} item
 * @param {string} handle
 * @returns {Spot}
 */
export function anchor(item, handle) {
  const { left, top, right, bottom } = rect(item);
  const [x, y] = middle({ left, top, right, bottom });
  if (handle === "move") return [x, y];
  if (handle === "turn") return placed(item, [x, top]);
  return placed(item, [handle.includes("w") ? left : right, handle.includes("n") ? top : bottom]);
}

/**
 * The handle that a press at a place means, or "".
 * @param {Item} item
 * @param {number} x
 * @param {number} y
 * @param {(x: number, y: number, at: Spot) => boolean} near
 */
export function hit(item, x, y, near) {
  const edges = Object.keys(HANDLES[item.kind]).filter((name) => name !== "move");
  const edge = edges.find((name) => near(x, y, anchor(item, name)));
  if (edge) return edge;
  const { left, top, right, bottom } = rect(item);
  const [cx, cy] = middle({ left, top, right, bottom });
  const [dx, dy] = turned([x - cx, y - cy], -angleOf(item), item.aspect);
  const inside = Math.abs(dx) <= (right - left) / 2 && Math.abs(dy) <= (bottom - top) / 2;
  return inside || item.kind === "point" ? "move" : "";
}

/**
 * The values after a handle has been dragged.
 * @param {Item} item as it was when the drag began
 * @param {string} handle
 * @param {number} dx
 * @param {number} dy
 * @param {Snap} snap
 * @returns {Values}
 */
export function dragged(item, handle, dx, dy, snap) {
  const { kind, values } = item;
  if (kind === "point") return { x: within(snap("x", values.x + dx)), y: within(snap("y", values.y + dy)) };
  if (handle === "turn") return { ...values, angle: upright(snap("angle", pointed(item, dx, dy))) };
  if (kind === "shift") return shifted(item, handle, dx, dy, snap);
  if (handle === "move") return { ...values, ...carried(item, dx, dy, snap) };
  return angleOf(item) ? stretched(item, handle, dx, dy) : resized(item, handle, dx, dy, snap);
}

/** Degrees after a step with the keys. @param {Item} item @param {number} degrees */
export const spun = (item, degrees) => ({ ...item.values, angle: upright(angleOf(item) + degrees) });

/** Degrees in [-180, 180]. @param {number} degrees */
const upright = (degrees) => Math.round(degrees - 360 * Math.round(degrees / 360));

/** The angle at which the handle that turns an item points to where it was dragged. @param {Item} item @param {number} dx @param {number} dy */
function pointed(item, dx, dy) {
  const [x, y] = anchor(item, "turn");
  const [cx, cy] = middle(rect(item));
  return 90 + (Math.atan2(y + dy - cy, (x + dx - cx) * item.aspect) * 180) / Math.PI;
}

/** @param {Item} item @param {string} handle @param {number} dx @param {number} dy @param {Snap} snap */
function resized({ values }, handle, dx, dy, snap) {
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

/** Resize a turned box: the corner across stays where it is. @param {Item} item @param {string} handle @param {number} dx @param {number} dy */
function stretched(item, handle, dx, dy) {
  const across = handle.replace(/./g, (side) => ({ n: "s", s: "n", w: "e", e: "w" })[side] ?? "");
  const [[fixedX, fixedY], [x, y]] = [anchor(item, across), anchor(item, handle)];
  const [wide, tall] = turned([x + dx - fixedX, y + dy - fixedY], -angleOf(item), item.aspect);
  const [toRight, down] = [handle.includes("e") ? 1 : -1, handle.includes("s") ? 1 : -1];
  const size = [Math.max(LEAST, wide * toRight), Math.max(LEAST, tall * down)];
  const [halfX, halfY] = turned([(size[0] * toRight) / 2, (size[1] * down) / 2], angleOf(item), item.aspect);
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
    // Of a turned box the middle snaps; else the side that a guide line pulls more.
    const ends = angleOf(item) ? [(low + high) / 2] : [low, high];
    const pulls = ends.map((end) => snap(axis, end + by) - end);
    const moved = pulls.reduce((a, b) => (Math.abs(a - by) >= Math.abs(b - by) ? a : b));
    const kept = Math.min(Math.max(moved, -low), 1 - high);
    return [tidy(low + kept), tidy(high + kept)];
  };
  const [l, r] = place("x", left, right, dx);
  const [t, b] = place("y", top, bottom, dy);
  return { left: l, top: t, right: r, bottom: b };
}

/** @param {Item} item @param {string} handle @param {number} dx @param {number} dy @param {Snap} snap */
function shifted(item, handle, dx, dy, snap) {
  const { values } = item;
  if (handle === "se") {
    const [right, down] = turned([dx, dy], -angleOf(item), item.aspect);
    return { ...values, scale: tidy(Math.max(0.1, values.scale + 2 * (right + down))) };
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
 * Pulls to the thirds, the middle and the edges of other items, else to a grid; angles to notches.
 * @param {Item[]} others
 * @returns {Snap}
 */
export function snapper(others) {
  const lines = (/** @type {(one: Rect) => number[]} */ sides) => [...THIRDS, ...others.flatMap((one) => sides(bounds(one)))];
  const guides = { x: lines((r) => [r.left, r.right]), y: lines((r) => [r.top, r.bottom]) };
  return (axis, value) => {
    if (axis === "angle") return NOTCH * Math.round(value / NOTCH);
    const near = guides[axis].filter((line) => Math.abs(line - value) <= PULL);
    if (near.length) return near.reduce((a, b) => (Math.abs(a - value) <= Math.abs(b - value) ? a : b));
    return Math.round(value / GRID) * GRID;
  };
}
