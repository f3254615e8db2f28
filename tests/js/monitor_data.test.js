/** Curves of a sampling run from what the server sends, by hand. */
import assert from "node:assert/strict";
import test from "node:test";
import { curves, withMessage, stepOf } from "../../web/monitor_data.js";
import { near } from "./truth.js";

const SIGMAS = [8, 4, 2, 1, 0];
const row = (sigma, more = {}) => ({
  rule: "forward",
  sigma,
  energy: [1],
  grad_norm: [1],
  push: [1],
  cfg_push: null,
  terms: { colour: [1] },
  ...more,
});
const run = (rows, more = {}) => ({ prompt: "p", sigmas: SIGMAS, levels: [8, 0], rows, done: true, fault: "", ...more });
const kinds = (made) => Object.fromEntries(made.warnings.map(({ kind, steps }) => [kind, steps]));
const message = (rows, more = {}) => ({ node: "1", prompt_id: "p", rows, done: false, ...more });

test("messages of one run follow each other, and a first one begins anew", () => {
  const first = withMessage(undefined, message([row(8)], { sigmas: SIGMAS, levels: [8, null] }));
  assert.deepEqual([first.sigmas, first.levels, first.done], [SIGMAS, [8, NaN], false]);
  const second = withMessage(first, message([row(4)], { done: true }));
  assert.deepEqual(second.rows.map(({ sigma }) => sigma), [8, 4]);
  assert.deepEqual([second.sigmas, second.levels, second.done], [SIGMAS, [8, NaN], true]);
  assert.equal(first.rows.length, 1);
  const again = withMessage(second, message([row(3)], { prompt_id: "q", sigmas: [3, 0], levels: [] }));
  assert.deepEqual([again.prompt, again.rows.length, again.sigmas], ["q", 1, [3, 0]]);
  assert.equal(withMessage({ ...second, fault: "stopped" }, message([], { sigmas: [1, 0] })).fault, "");
});

test("a message without a beginning still has rows to keep", () => {
  const made = withMessage(undefined, message([row(8)]));
  assert.deepEqual([made.rows.length, made.sigmas, made.levels], [1, [], []]);
});

test("noise levels lie at their steps, and in between by their value", () => {
  near([8, 6, 4, 3, 2, 1.5, 1, 0.5, 0].map((sigma) => stepOf(sigma, SIGMAS)), [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]);
  // Above the first and below the last, and what rounding has moved.
  assert.equal(stepOf(80, SIGMAS), 0);
  assert.equal(stepOf(0.1, [8, 1]), 1);
  assert.equal(Math.floor(stepOf(4 * (1 + 1e-7), SIGMAS)), 1);
  assert.equal(Math.floor(stepOf(4 * (1 - 1e-7), SIGMAS)), 1);
  assert.equal(stepOf(1, []), 0);
});

test("a point is the mean of a batch, with its spread", () => {
  const { energy } = curves(run([row(8, { energy: [1, 5, 3] })]));
  assert.deepEqual(energy[0].points, [{ x: 0, y: 3, low: 1, high: 5 }]);
});

test("rules and energies are told apart, and one of several terms is their sum", () => {
  const two = { terms: { colour: [0.25], box: [0.75] } };
  const rows = [row(8, two), row(8, { rule: "backward" }), row(4, two), row(4, { rule: "backward" })];
  const { energy, gradient, push } = curves(run(rows));
  const look = energy.map(({ name, color, points }) => [name, color, points.map(({ x, y }) => [x, y])]);
  assert.deepEqual(look, [
    ["forward: Σ", -1, [[0, 1], [1, 1]]],
    ["forward: colour", 0, [[0, 0.25], [1, 0.25]]],
    ["forward: box", 1, [[0, 0.75], [1, 0.75]]],
    ["backward: colour", 2, [[0, 1], [1, 1]]],
  ]);
  assert.deepEqual(gradient.map(({ name, color }) => [name, color]), [["forward: Σ", -1], ["backward: colour", 2]]);
  assert.equal(push.length, 2);
});

test("two rules of one name are two curves where they share no term, and one where they do", () => {
  const apart = curves(run([row(8), row(8, { terms: { box: [1] } })]));
  assert.deepEqual(apart.energy.map(({ name }) => name), ["forward: colour", "forward: box"]);
  const together = curves(run([row(8, { terms: { colour: [1], box: [1] } }), row(4, { terms: { box: [1] } })]));
  assert.deepEqual(together.energy.map(({ name, points }) => [name, points.length]), [["forward: Σ", 2], ["forward: colour", 1], ["forward: box", 2]]);
  const grown = curves(run([row(8, { terms: { box: [1] } }), row(4, { terms: { colour: [1], box: [1] } })]));
  assert.equal(grown.gradient.length, 1);
  const unnamed = curves(run([row(8), row(4, { terms: {} })]));
  assert.deepEqual(unnamed.energy.map(({ points }) => points.length), [2]);
});

test("a step is a multiple of CFG's where CFG takes one in every row", () => {
  const made = curves(run([row(8, { push: [3, 1], cfg_push: [1, 2] })]));
  assert.equal(made.relative, true);
  assert.deepEqual(made.push[0].points[0], { x: 0, y: 1.75, low: 0.5, high: 3 });
  const mixed = curves(run([row(8, { cfg_push: [1] }), row(4)]));
  assert.deepEqual([mixed.relative, mixed.push[0].points[0].y], [false, 1]);
  // Both prompts say the same: CFG does all but nothing.
  assert.equal(curves(run([row(8, { push: [1], cfg_push: [0.005] })])).relative, false);
  assert.equal(curves(run([row(8, { push: [1], cfg_push: [0.02] })])).relative, true);
  assert.equal(curves(run([])).relative, false);
});

test("steps without a row are unguided, up to the last one that has been taken", () => {
  assert.deepEqual(curves(run([row(4), row(2)])).skipped, [0, 3]);
  assert.deepEqual(curves(run([row(4), row(2)], { done: false })).skipped, [0]);
  assert.deepEqual(curves(run([row(4), row(2)], { fault: "out of memory" })).skipped, [0]);
  assert.deepEqual(curves(run([])).skipped, [0, 1, 2, 3]);
  // A sampler's second evaluation in a step belongs to it.
  assert.deepEqual(curves(run([row(8), row(6), row(4), row(3)])).skipped, [2, 3]);
  assert.equal(curves(run([], { sigmas: [] })).steps, 1);
});

test("what is not finite is a gap and a warning, once a step", () => {
  const made = curves(run([row(8), row(4, { energy: [null], grad_norm: [null] }), row(3, { push: [1, null] }), row(2, { push: [null] }), row(1, { energy: [null] })]));
  assert.ok(Number.isNaN(made.energy[0].points[1].y));
  assert.deepEqual(kinds(made), { nonfinite: [1, 3, 2] });
});

test("a gradient that has vanished beside its largest is saturated", () => {
  const made = curves(run([row(8, { grad_norm: [10] }), row(4, { grad_norm: [0.0011] }), row(2, { grad_norm: [0.0009] })]));
  assert.deepEqual(kinds(made), { saturated: [2] });
});

test("a step of more than three times CFG's is too strong, and only beside CFG's", () => {
  const made = curves(run([row(8, { push: [2.9], cfg_push: [1] }), row(4, { push: [3.1], cfg_push: [1] })]));
  assert.deepEqual(kinds(made), { overpowering: [1] });
  assert.deepEqual(kinds(curves(run([row(8, { push: [99] })]))), {});
});

test("CFG's step of 0 makes a gap, no infinity", () => {
  const made = curves(run([row(8, { push: [1], cfg_push: [0] }), row(4, { push: [1], cfg_push: [1] })]));
  assert.deepEqual(made.push[0].points.map(({ y }) => y), [NaN, 1]);
});

test("thousands of rows take no time", () => {
  const rows = Array.from({ length: 5000 }, (_, i) => row(8 - (8 * i) / 5000));
  const begin = performance.now();
  assert.equal(curves(run(rows)).energy[0].points.length, 5000);
  assert.ok(performance.now() - begin < 2000);
});
