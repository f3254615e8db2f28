// @ts-check
/**
 * Attention maps of a run, laid side by side in one image. No host, no drawing.
 *
 * @typedef {import("../../scripts/api.js").OutputFile} File
 * @typedef {object} Maps what Show Attention puts out
 * @property {string[]} words
 * @property {number[]} sigmas noise levels, highest first
 * @property {[number, number][]} layers height and width of each layer's maps in the model
 * @property {[number, number]} tile height and width of a map in the file
 * @property {number} columns maps in a row of the file
 * @property {File[]} maps one for each image of the batch
 * @property {File[]} below the images below the maps, or an empty list
 *
 * @typedef {{image: number, step: number, layer: number, words: boolean[], opacity: number}} View
 *   layer 0 is the mean of all
 */

/** @param {unknown} value @param {(part: any) => boolean} right */
const all = (value, right) => Array.isArray(value) && value.every(right);

/** @param {unknown} value */
const isSize = (value) => all(value, (side) => Number.isInteger(side) && side > 0) && /** @type {any[]} */ (value).length === 2;

/** @param {any} value */
const isFile = (value) => ["filename", "subfolder", "type"].every((name) => typeof value?.[name] === "string");

/**
 * The maps in a node's output; null where there are none, or they are malformed.
 * @param {any} output
 * @returns {Maps | null}
 */
export function mapsOf(output) {
  const maps = output?.energy_guidance_attention?.[0];
  const right =
    maps &&
    all(maps.words, (word) => typeof word === "string") &&
    all(maps.sigmas, Number.isFinite) &&
    all(maps.layers, isSize) &&
    isSize(maps.tile) &&
    Number.isInteger(maps.columns) &&
    maps.columns > 0 &&
    all(maps.maps, isFile) &&
    all(maps.below, isFile) &&
    [maps.words, maps.sigmas, maps.layers, maps.maps].every((list) => list.length > 0);
  return right ? maps : null;
}

/**
 * What to show of new maps: the same as before, as far as they have it.
 * @param {Maps} maps
 * @param {View | undefined} before
 * @returns {View}
 */
export function viewOf(maps, before) {
  const within = (/** @type {number} */ value, /** @type {number} */ last) => Math.min(Math.max(value, 0), last);
  const words = before?.words.length === maps.words.length ? before.words : maps.words.map(() => true);
  return {
    image: within(before?.image ?? 0, maps.maps.length - 1),
    // Layout forms in the first third of a run.
    step: within(before?.step ?? Math.floor(maps.sigmas.length / 3), maps.sigmas.length - 1),
    layer: within(before?.layer ?? 0, maps.layers.length),
    words,
    opacity: before?.opacity ?? 0.8,
  };
}

/**
 * The rectangle of a word's map in the file.
 * @param {Maps} maps
 * @param {number} step
 * @param {number} layer
 * @param {number} word
 */
export function placeOf(maps, step, layer, word) {
  const index = (step * (1 + maps.layers.length) + layer) * maps.words.length + word;
  const [height, width] = maps.tile;
  return { x: (index % maps.columns) * width, y: Math.floor(index / maps.columns) * height, width, height };
}

/**
 * A grey map as one colour whose opacity is the attention squared: unsquared, the small attention
 * that a word has everywhere would hide the image.
 * @param {Uint8ClampedArray} grey pixels of four bytes
 * @param {[number, number, number]} color
 * @returns {Uint8ClampedArray<ArrayBuffer>}
 */
export function tinted(grey, [red, green, blue]) {
  const pixels = new Uint8ClampedArray(grey.length);
  for (let i = 0; i < grey.length; i += 4) pixels.set([red, green, blue, (grey[i] * grey[i]) / 255], i);
  return pixels;
}
