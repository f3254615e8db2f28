/** The parts of the drawing that need no page. */
import assert from "node:assert/strict";
import test from "node:test";
import { arrowStep, colorOf, short } from "../../web/dom.js";

test("numbers are short, whatever their size", () => {
  const wanted = [[0, "0"], [0.5, "0.5"], [-1.23456, "-1.23"], [99999, "100000"], [100000, "1.0e+5"], [0.001, "0.001"], [0.00099, "9.9e-4"], [-2e9, "-2.0e+9"]];
  for (const [value, text] of wanted) assert.equal(short(value), text);
  assert.deepEqual([NaN, Infinity, -Infinity].map(short), ["–", "–", "–"]);
});

test("arrow keys step to the right and down, with Shift ten times as far", () => {
  const step = (key, shiftKey = false) => arrowStep({ key, shiftKey }, 0.01);
  assert.deepEqual(step("ArrowRight"), [0.01, 0]);
  assert.deepEqual(step("ArrowLeft"), [-0.01, 0]);
  assert.deepEqual(step("ArrowUp"), [0, -0.01]);
  assert.deepEqual(step("ArrowDown", true), [0, 0.1]);
  assert.equal(step("a"), undefined);
});

test("colours repeat after eight, and the text has its own", () => {
  assert.deepEqual([0, 7, 8, -1].map(colorOf), ["var(--eg-series-0)", "var(--eg-series-7)", "var(--eg-series-0)", "var(--eg-text)"]);
});
