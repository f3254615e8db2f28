// @ts-check
/** Strengths in words and as numbers, as the server has them. */

/** @type {Record<string, number>} */
const STRENGTHS = { weak: 0.5, medium: 1, strong: 1.5 };
export const CUSTOM = "custom";

/**
 * The number of a word; `otherwise` for a word without one.
 * @param {string} word
 * @param {number} otherwise
 */
export const numberOf = (word, otherwise) => STRENGTHS[word] ?? otherwise;

/** The word of a number. @param {number} number */
export const wordOf = (number) => Object.keys(STRENGTHS).find((word) => STRENGTHS[word] === number) ?? CUSTOM;
