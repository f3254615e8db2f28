// @ts-check
/**
 * Boxes, points and moved outlines on an image whose sides are 1. No host, no drawing.
 *
 * @typedef {Record<string, number>} Values by widget
 * @typedef {{kind: string, values: Values, label: string, color: number, own: boolean, aspect: number}} Item
 *   aspect is the image's width divided by its height
 * @typedef {[number, number]} Spot x and y
 * @typedef {{left: number, top: number, right: number, bottom: number}} Rect
 */

/** The widgets of each node that has a position in the image. @type {Record<string, {kind: string, widgets: string[]}>} */
export const NODES = {
  EGEnergyBox: { kind: "box", widgets: ["left", "top", "right", "bottom", "angle"] },
  EGEnergyPosition: { kind: "point", widgets: ["x", "y"] },
  EGEnergyShape: { kind: "shift", widgets: ["shift_x", "shift_y", "scale", "angle"] },
};

export const GRID = 0.01;

/**
 * The rectangle of an item before it is turned. A moved outline is drawn as half the image, moved and scaled.
 * @param {Item} item
 * @returns {Rect}
 */
export function rect({ kind, values }) {
  if (kind === "box" || kind === "frame") return { left: values.left, top: values.top, right: values.right, bottom: values.bottom };
  if (kind === "point") return { left: values.x, right: values.x, top: values.y, bottom: values.y };
  const half = 0.25 * values.scale;
  const [x, y] = [0.5 + values.shift_x, 0.5 + values.shift_y];
  return { left: x - half, right: x + half, top: y - half, bottom: y + half };
}

/** The handles of each kind of item, and the sides that each one moves. @type {Record<string, Record<string, string[]>>} */
export const HANDLES = {
  box: {
    move: ["left", "right", "top", "bottom"],
    nw: ["left", "top"],
    ne: ["right", "top"],
    sw: ["left", "bottom"],
    se: ["right", "bottom"],
    turn: [],
  },
  /** A box that cannot be turned. */
  frame: {
    ...{ move: ["left", "right", "top", "bottom"] },
    ...{ nw: ["left", "top"], ne: ["right", "top"], sw: ["left", "bottom"], se: ["right", "bottom"] },
  },
  point: { move: [] },
  shift: { move: [], se: [], turn: [] },
};

/**
 * A vector turned clockwise.
 * @param {Spot} vector
 * @param {number} degrees
 * @param {number} aspect
 * @returns {Spot}
 */
export function turnedVector([x, y], degrees, aspect) {
  const [sine, cosine] = [Math.sin, Math.cos].map((wave) => wave((degrees * Math.PI) / 180));
  return [cosine * x - (sine * y) / aspect, sine * x * aspect + cosine * y];
}

/** @param {Rect} rect @returns {Spot} */
export const middle = ({ left, top, right, bottom }) => [(left + right) / 2, (top + bottom) / 2];

/** @param {Item} item */
export const angleOf = ({ values }) => values.angle ?? 0;

/**
 * The position of a point of an item after the item is turned.
 * @param {Item} item
 * @param {Spot} point
 * @returns {Spot}
 */
function turnedPoint(item, [x, y]) {
  const [cx, cy] = middle(rect(item));
  const [dx, dy] = turnedVector([x - cx, y - cy], angleOf(item), item.aspect);
  return [cx + dx, cy + dy];
}

/** The upright rectangle around an item after it is turned. @param {Item} item @returns {Rect} */
export function outerRect(item) {
  const { left, top, right, bottom } = rect(item);
  const corners = [[left, top], [right, top], [left, bottom], [right, bottom]];
  const all = corners.map((corner) => turnedPoint(item, /** @type {Spot} */ (corner)));
  const [x, y] = [all.map((corner) => corner[0]), all.map((corner) => corner[1])];
  return { left: Math.min(...x), right: Math.max(...x), top: Math.min(...y), bottom: Math.max(...y) };
}

/**
 * The position of a handle.
 * @param {Item} item
 * @param {string} handle
 * @returns {Spot}
 */
export function handlePosition(item, handle) {
  const { left, top, right, bottom } = rect(item);
  const [x, y] = middle({ left, top, right, bottom });
  if (handle === "move") return [x, y];
  if (handle === "turn") return turnedPoint(item, [x, top]);
  return turnedPoint(item, [handle.includes("w") ? left : right, handle.includes("n") ? top : bottom]);
}

/**
 * The handle that is pressed at a position, or "".
 * @param {Item} item
 * @param {number} x
 * @param {number} y
 * @param {(x: number, y: number, at: Spot) => boolean} near
 */
export function handleAt(item, x, y, near) {
  const edges = Object.keys(HANDLES[item.kind]).filter((name) => name !== "move");
  const edge = edges.find((name) => near(x, y, handlePosition(item, name)));
  if (edge) return edge;
  const { left, top, right, bottom } = rect(item);
  const [cx, cy] = middle({ left, top, right, bottom });
  const [dx, dy] = turnedVector([x - cx, y - cy], -angleOf(item), item.aspect);
  const inside = Math.abs(dx) <= (right - left) / 2 && Math.abs(dy) <= (bottom - top) / 2;
  return inside || item.kind === "point" ? "move" : "";
}
