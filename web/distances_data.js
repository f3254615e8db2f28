// @ts-check
/**
 * How far an object is from its point, read from what a run reports. No host, no drawing.
 *
 * @typedef {{terms: Record<string, (number | null)[]>, reached?: Record<string, number>}} Row
 */

/** Where a position counts as reached, as in guidance_core/energies/position.py. */
export const NEAR = 0.05;

/**
 * The distance of the words of a position from their point in the first image, as a fraction of the image.
 *
 * A term is weighted; what counts as reached is too, so that their ratio is not.
 * @param {Row[]} rows the last of every term
 * @param {string} words as the position's node has them
 * @returns {number | undefined} undefined where it is not told
 */
export function distanceIn(rows, words) {
  const name = `Position ${words}`;
  const row = rows.filter((one) => Object.hasOwn(one.terms, name)).at(-1);
  const [value, limit] = [row?.terms[name][0], row?.reached?.[name]];
  return value == null || !limit ? undefined : (NEAR * value) / limit;
}

/** A fraction as a percentage that is short. @param {number} distance */
export const percentOf = (distance) => String(Number((100 * distance).toPrecision(distance < 0.095 ? 1 : 2)));
