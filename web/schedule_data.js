// @ts-check
/**
 * A strength schedule as points, the same maths as guidance_core/schedules/points.py. No host, no drawing.
 *
 * @typedef {[number, number]} Pair percent in [0, 1] and strength >= 0
 */

/** A number as Python's float reads it: not 0x1, which JavaScript takes for one. */
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** @param {string} text @returns {number} NaN where it is no number */
const decimal = (text) => (DECIMAL.test(text.trim()) ? Number(text) : NaN);

/**
 * @param {string} text position:strength pairs, comma-separated
 * @returns {Pair[] | null} null where the text is malformed
 */
export function pointsFrom(text) {
  const parts = text.split(/[,\n]/).map((part) => part.trim()).filter(Boolean);
  const points = parts.map((part) => {
    const numbers = part.split(":").map(decimal);
    return numbers.length === 2 ? numbers : [NaN, NaN];
  });
  const good = points.every(([x, y], i) => x >= (points[i - 1]?.[0] ?? 0) && x <= 1 && y >= 0 && y < Infinity);
  if (!good || points.length < 2 || points[0][0] === points[points.length - 1][0]) return null;
  return /** @type {Pair[]} */ (points);
}

/** @param {Pair[]} points */
export const textOf = (points) => points.map(([x, y]) => `${plain(x)}:${plain(y)}`).join(", ");

/** @param {number} value */
const plain = (value) => String(Number(value.toFixed(4)));

/** Strength by progress in the window, as in guidance_core/schedules/windows.py. @type {Record<string, (part: number) => number>} */
export const CURVES = {
  constant: () => 1,
  linear_down: (part) => 1 - part,
  linear_up: (part) => part,
  cosine: (part) => 0.5 * (1 + Math.cos(Math.PI * part)),
};

/**
 * The points that draw a window and its curve.
 * @param {number} start
 * @param {number} end
 * @param {string} curve
 * @returns {Pair[]}
 */
export function windowPoints(start, end, curve) {
  const count = curve === "cosine" ? 8 : 1;
  const parts = Array.from({ length: count + 1 }, (_, i) => i / count);
  return parts.map((part) => [start + (end - start) * part, (CURVES[curve] ?? CURVES.constant)(part)]);
}

/** Curves to begin with, in a window. @type {Record<string, (start: number, end: number) => Pair[]>} */
export const SHAPES = {
  bell: (start, end) => {
    const at = (/** @type {number} */ part) => start + (end - start) * part;
    return [[start, 0], [at(0.25), 0.5], [at(0.5), 1], [at(0.75), 0.5], [end, 0]];
  },
  late: (start, end) => [[start, 0], [start + (end - start) * 0.3, 1], [end, 1]],
  steps: (start, end) => {
    const half = (start + end) / 2;
    return [[start, 1], [half, 1], [half, 0.5], [end, 0.5]];
  },
};

/**
 * The points with one moved, between its neighbours and on the grid.
 * @param {Pair[]} points
 * @param {number} index
 * @param {Pair} to
 * @param {number} grid
 * @returns {Pair[]}
 */
export function withMoved(points, index, [x, y], grid) {
  const low = points[index - 1]?.[0] ?? 0;
  const high = points[index + 1]?.[0] ?? 1;
  const place = Math.min(Math.max(onGrid(x, grid), low), high);
  const result = points.map((point, i) => (i === index ? [place, Math.max(0, onGrid(y, grid))] : point));
  const flat = result[0][0] === result[result.length - 1][0];
  return /** @type {Pair[]} */ (flat ? points : result);
}

/**
 * The points with one more, in order of position.
 * @param {Pair[]} points
 * @param {Pair} point
 * @returns {[Pair[], number]} the points, and the index of the new one
 */
export function withAdded(points, [x, y]) {
  const after = points.findIndex(([other]) => other > x);
  const index = after < 0 ? points.length : after;
  return [[...points.slice(0, index), [x, y], ...points.slice(index)], index];
}

/**
 * The points without one; at least two remain, at different positions.
 * @param {Pair[]} points
 * @param {number} index
 */
export function withRemoved(points, index) {
  const rest = points.filter((_, i) => i !== index);
  return rest[0][0] === rest[rest.length - 1][0] ? points : rest;
}

/** @param {number} value @param {number} grid */
export const onGrid = (value, grid) => Number((Math.round(value / grid) * grid).toFixed(6));

/**
 * The noise level at a percentage.
 * @param {number} percent
 * @param {number[]} levels at even percentages, falling
 */
export function sigmaAt(percent, levels) {
  const place = percent * (levels.length - 1);
  const left = Math.min(Math.floor(place), levels.length - 2);
  return levels[left] + (levels[left + 1] - levels[left]) * (place - left);
}

/**
 * The percentage of a noise level.
 * @param {number} sigma
 * @param {number[]} levels at even percentages, falling
 */
export function percentAt(sigma, levels) {
  const below = levels.findIndex((level) => level < sigma);
  if (below < 0) return 1;
  if (below === 0) return 0;
  const [high, low] = [levels[below - 1], levels[below]];
  return (below - 1 + (high - sigma) / (high - low)) / (levels.length - 1);
}
