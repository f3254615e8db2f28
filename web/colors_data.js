// @ts-check
/** Which colour of the palette a word has. No host, no drawing. */

/** Colours of the palette, see style.css. */
export const COLORS = 8;

/** What has a colour: the word or words of a phrase, whichever of its occurrences is meant. @param {string} phrase */
export const colored = (phrase) => phrase.toLowerCase().replace(/\s*#.*/, "").trim();

/** A word's own colour (FNV-1a). @param {string} word */
function own(word) {
  let sum = 2166136261;
  for (const letter of word) sum = Math.imul(sum ^ (letter.codePointAt(0) ?? 0), 16777619);
  return ((sum ^ (sum >>> 15)) >>> 0) % COLORS;
}

/**
 * The colours of a workflow's words: each its own, or the next that none of those before it has, while there is one.
 * @param {string[]} phrases in an order that stays when the workflow is opened again
 * @returns {Map<string, number>} by word
 */
export function colorsOf(phrases) {
  const colors = new Map();
  for (const word of new Set(phrases.map(colored).filter(Boolean))) {
    const taken = new Set(colors.values());
    const order = Array.from({ length: COLORS }, (_, step) => (own(word) + step) % COLORS);
    colors.set(word, order.find((color) => !taken.has(color)) ?? own(word));
  }
  return colors;
}

/** The number of a phrase's colour; -1 for none. @param {string} phrase @param {Map<string, number>} colors */
export function colorIn(phrase, colors) {
  const word = colored(phrase);
  return word ? (colors.get(word) ?? own(word)) : -1;
}
