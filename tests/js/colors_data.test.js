import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { COLORS, colorIn, colorsOf } from "../../web/colors_data.js";

const NONE = new Map();
const WORDS = "red blue green circle square triangle star dog cat horse house tree sky sea hat".split(" ");

test("a word has one colour, whatever its case and number, and none has none", () => {
  const circle = colorIn("circle", NONE);
  assert.deepEqual(["Circle", "circle#2", "circle #1", " circle "].map((word) => colorIn(word, NONE)), [circle, circle, circle, circle]);
  assert.deepEqual(["", "#2", " #1"].map((word) => colorIn(word, NONE)), [-1, -1, -1]);
});

test("words of a workflow have different colours while there are any, and their own where it is free", () => {
  for (let first = 0; first + COLORS <= WORDS.length; first++) {
    const words = WORDS.slice(first, first + COLORS);
    assert.equal(new Set(words.map((word) => colorIn(word, colorsOf(words)))).size, COLORS);
    assert.equal(colorIn(words[0], colorsOf(words)), colorIn(words[0], NONE));
  }
  const many = colorsOf(WORDS);
  assert.ok(WORDS.every((word) => colorIn(word, many) >= 0 && colorIn(word, many) < COLORS));
});

test("a word that comes later changes none of those before it", () => {
  WORDS.forEach((_, count) => {
    const few = colorsOf(WORDS.slice(0, count));
    for (const word of WORDS.slice(0, count)) assert.equal(colorIn(word, few), colorIn(word, colorsOf(WORDS)));
  });
});

test("words alone are spread over the palette", () => {
  assert.ok(new Set(WORDS.map((word) => colorIn(word, NONE))).size >= COLORS / 2);
});

test("the palette has as many colours", () => {
  const style = readFileSync(new URL("../../web/style.css", import.meta.url), "utf-8");
  const numbers = [...style.matchAll(/--eg-series-(\d+):/g)].map(([, number]) => Number(number));
  assert.equal(Math.max(...numbers) + 1, COLORS);
});
