// @ts-check
/** Curves of words in the colours of the words. No host, no drawing. */
import { COLORS } from "./colors_data.js";

/** @typedef {import("./monitor_data.js").Curves} Curves */
/** @typedef {import("./monitor_data.js").Series} Series */

/** What is asked in a series, such as "red circle" in "Forward: Box red circle". @param {string} name */
const asked = (name) => name.match(/: \w+ (.+)$/)?.[1] ?? "";

/**
 * The curves with those of words in their colours, and the others in what is left.
 * @param {Curves} curves
 * @param {(phrase: string) => number | undefined} colorOfWords undefined where the workflow has no such words
 * @returns {Curves}
 */
export function inWordColors(curves, colorOfWords) {
  /** @type {Map<number, number>} */
  const colors = new Map();
  for (const { name, color } of curves.energy) {
    const own = colorOfWords(asked(name));
    if (color >= 0 && own !== undefined) colors.set(color, own);
  }
  if (!colors.size) return curves;
  for (const { color } of curves.energy) {
    if (color < 0 || colors.has(color)) continue;
    const taken = new Set(colors.values());
    const order = Array.from({ length: COLORS }, (_, step) => (color + step) % COLORS);
    colors.set(color, order.find((one) => !taken.has(one)) ?? color);
  }
  const painted = (/** @type {Series[]} */ all) => all.map((one) => ({ ...one, color: colors.get(one.color) ?? one.color }));
  return { ...curves, energy: painted(curves.energy), gradient: painted(curves.gradient), push: painted(curves.push) };
}
