// @ts-check
/**
 * Boxes for words of a prompt, as lines of text. No host, no drawing.
 *
 * @typedef {import("./layout_data.js").Values} Values
 * @typedef {import("./words_data.js").Place} Place
 * @typedef {{words: string, values: Values}} Box
 */
import { chosenBy, phraseAround } from "./words_data.js";

const SIDES = ["left", "top", "right", "bottom", "angle"];
/** Side of a new box, and the distance between corners that are tried for it. */
const SIDE = 0.4;
const STEP = 0.05;

/** The boxes of a text; lines that are no boxes are left out. @param {string} text @returns {Box[]} */
export const parsed = (text) =>
  text.split("\n").flatMap((line) => {
    const [, words, rest] = line.match(/^\s*(.*\S)\s*:([^:]*)$/) ?? [];
    const numbers = (rest ?? "").trim().split(/[\s,]+/).map(Number);
    const whole = [4, 5].includes(numbers.length) && numbers.every(Number.isFinite);
    return words && whole ? [{ words, values: Object.fromEntries(SIDES.map((side, i) => [side, numbers[i] ?? 0])) }] : [];
  });

/** The text of boxes; an angle of 0 is not written. @param {Box[]} boxes */
export const written = (boxes) =>
  boxes.map(({ words, values }) => `${words}: ${SIDES.map((side) => values[side]).slice(0, values.angle ? 5 : 4).join(" ")}`).join("\n");

/**
 * The boxes after a click on a word: its box is chosen, or taken away where it was, or made.
 * @param {Place[]} all
 * @param {number} index of the word that was clicked
 * @param {Box[]} boxes
 * @param {number} chosen the box that is dragged
 * @param {boolean} join whether a word without a box joins the chosen one
 * @returns {{boxes: Box[], chosen: number}}
 */
export function clicked(all, index, boxes, chosen, join) {
  const there = boxOf(all, index, boxes);
  if (there >= 0 && there !== chosen) return { boxes, chosen: there };
  if (there >= 0) return { boxes: boxes.filter((_, i) => i !== there), chosen: -1 };
  const { word, number, of } = all[index];
  const joined = join && chosen >= 0 ? withWord(all, index, boxes[chosen].words) : "";
  if (joined) return { boxes: boxes.map((box, i) => (i === chosen ? { ...box, words: joined } : box)), chosen };
  return added(boxes, of > 1 ? `${word}#${number}` : word);
}

/** The boxes with one more, which is chosen. @param {Box[]} boxes @param {string} words */
export const added = (boxes, words) => ({ boxes: [...boxes, { words, values: free(boxes) }], chosen: boxes.length });

/** The box that a word of the prompt belongs to, or -1. @param {Place[]} all @param {number} index @param {Box[]} boxes */
export function boxOf(all, index, boxes) {
  const phrases = boxes.map(({ words }) => words);
  const alone = chosenBy(all[index], phrases);
  return alone >= 0 ? alone : phrases.indexOf(phraseAround(all, index, phrases) || "\n");
}

/** A phrase with the word before or behind it, or "" where that stands elsewhere. @param {Place[]} all @param {number} index @param {string} phrase */
function withWord(all, index, phrase) {
  const words = phrase.replace(/\s*#\d+$/, "").toLowerCase().split(/\s+/);
  const stands = (/** @type {number} */ first) => words.every((word, i) => all[first + i]?.word === word);
  if (stands(index + 1)) return [all[index].word, ...words].join(" ");
  return stands(index - words.length) ? [...words, all[index].word].join(" ") : "";
}

/** Where a new box covers the least of the others. @param {Box[]} boxes @returns {Values} */
function free(boxes) {
  const places = Array.from({ length: Math.round((1 - SIDE) / STEP) + 1 }, (_, i) => Number((i * STEP).toFixed(2)));
  const squares = places.flatMap((top) => places.map((left) => square(left, top)));
  const cover = (/** @type {Values} */ one) => boxes.reduce((sum, { values }) => sum + overlap(one, values), 0);
  return squares.reduce((best, one) => (cover(one) < cover(best) ? one : best), square(0.3, 0.3));
}

/** @param {number} left @param {number} top @returns {Values} */
const square = (left, top) => ({
  ...{ left, top, right: Number((left + SIDE).toFixed(2)), bottom: Number((top + SIDE).toFixed(2)) },
  angle: 0,
});

/** The area that two boxes share. @param {Values} a @param {Values} b */
const overlap = (a, b) =>
  Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
  Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
