/** Strengths in words and as numbers. */
import assert from "node:assert/strict";
import test from "node:test";
import { numberOf, wordOf } from "../../web/start_data.js";

test("each word has its number, and each number its word", () => {
  for (const [word, number] of [["weak", 0.5], ["medium", 1], ["strong", 1.5]]) {
    assert.equal(numberOf(word, 9), number);
    assert.equal(wordOf(number), word);
  }
  assert.equal(numberOf("custom", 0.7), 0.7);
  assert.equal(wordOf(0.7), "custom");
});
