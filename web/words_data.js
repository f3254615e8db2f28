// @ts-check
/**
 * Words of a prompt and the choice among them. No host, no drawing.
 *
 * @typedef {{text: string, pieces: string[], weight: number}} Spelt as the text encoder reads it
 * @typedef {{word: string, pieces: string[], weight: number, number: number, of: number}} Place
 *   the number-th of `of` occurrences
 */

/**
 * @param {Spelt[]} words in the order of the prompt
 * @returns {Place[]}
 */
export function places(words) {
  const seen = new Map();
  const all = words.map(({ text: word, pieces, weight }) => {
    seen.set(word, (seen.get(word) ?? 0) + 1);
    return { word, pieces, weight, number: seen.get(word) };
  });
  return all.map((place) => ({ ...place, of: seen.get(place.word) }));
}

/** Words of a text, in lower case. @param {string} prompt */
const split = (prompt) => prompt.toLowerCase().match(/[\p{L}\p{N}_]+(?:['-][\p{L}\p{N}_]+)*/gu) ?? [];

/** Words of a prompt that no tokenizer has read: each in one piece, with weight 1. @param {string} prompt @returns {Spelt[]} */
export const guessed = (prompt) => split(prompt).map((text) => ({ text, pieces: [text], weight: 1 }));

/** Phrases of the node's text: one per line or comma-separated. @param {string} text */
export const phrases = (text) => text.split(/[\n,]/).map((part) => part.trim()).filter(Boolean);

/**
 * Which phrase of the text chooses a place, or -1.
 * @param {Place} place
 * @param {string[]} chosen
 */
export function chosenBy({ word, number }, chosen) {
  return chosen.findIndex((phrase) => {
    const lower = phrase.toLowerCase();
    return lower === word || lower.replace(/\s*#/, "#") === `${word}#${number}`;
  });
}

/**
 * The phrase of several words that contains a place, or "".
 * @param {Place[]} all
 * @param {number} index
 * @param {string[]} chosen
 */
export function phraseAround(all, index, chosen) {
  const long = chosen.map((phrase) => ({ phrase, words: split(phrase.replace(/#.*/, "")) }));
  const found = long.find(({ words }) =>
    words.length > 1 &&
    words.some((_, back) => words.every((word, i) => all[index - back + i]?.word === word)),
  );
  return found?.phrase ?? "";
}

/**
 * The text after a click on a place. Phrases that are no single word of the prompt stay as they are.
 * @param {Place[]} all
 * @param {number} index of the place that was clicked
 * @param {string} text
 */
export function toggled(all, index, text) {
  const before = phrases(text);
  const { word } = all[index];
  const same = all.filter((place) => place.word === word);
  const on = same.filter((place) => (place === all[index]) !== (chosenBy(place, before) >= 0));
  const after = on.length === same.length ? [word] : on.map(({ number }) => `${word}#${number}`);
  const first = before.findIndex((phrase) => same.some((place) => chosenBy(place, [phrase]) === 0));
  const rest = before.filter((phrase) => !same.some((place) => chosenBy(place, [phrase]) === 0));
  const at = first < 0 ? rest.length : Math.min(first, rest.length);
  return [...rest.slice(0, at), ...after, ...rest.slice(at)].join("\n");
}
