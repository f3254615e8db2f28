/** Curves of a sampling run from what the server sends, by hand. */
import assert from "node:assert/strict";
import test from "node:test";
import { curves, withMessage, stepOf } from "../../web/monitor_data.js";
import { isUnguided, TOO_STRONG } from "../../web/monitor_verdict_data.js";
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

test("a run is unguided once it has ended without a step of any rule, and was not stopped", () => {
  assert.equal(isUnguided(run([])), true);
  for (const other of [run([row(8)]), run([], { done: false }), run([], { interrupted: true }), run([], { fault: "no" })])
    assert.equal(isUnguided(other), false);
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

test("a step is told by that of strength 1 where every row has it", () => {
  const made = curves(run([row(8, { push: [3, 1], spread: 0.5 })]));
  assert.equal(made.relative, true);
  assert.deepEqual(made.push[0].points[0], { x: 0, y: 4, low: 2, high: 6 });
  const mixed = curves(run([row(8, { spread: 0.5 }), row(4)]));
  assert.deepEqual([mixed.relative, mixed.push[0].points[0].y], [false, 1]);
  assert.equal(curves(run([])).relative, false);
});

test("what is reached is counted at the last step, by the limit of the same term", () => {
  const near = { reached: { colour: 0.5 } };
  const reached = (rows) => curves(run(rows)).energy.map((one) => one.reached);
  assert.deepEqual(reached([row(8, { ...near, terms: { colour: [0.1, 0.1] } }), row(4, { ...near, terms: { colour: [0.5, 0.6] } })]), [{ count: 1, all: 2 }]);
  assert.deepEqual(reached([row(8, { ...near, terms: { colour: [null] } })]), [{ count: 0, all: 1 }]);
  assert.deepEqual(reached([row(8), row(4, { reached: {} })]), [null]);
  const two = { terms: { colour: [0.4], box: [0.1] }, energy: [0.5] };
  assert.deepEqual(reached([row(8, { ...two, ...near })]), [null, { count: 1, all: 1 }, null]);
  // The rule's stop is that of the sum.
  assert.deepEqual(reached([row(8, { ...two, reached: { "colour + box": 0.6 } })]), [{ count: 1, all: 1 }, null, null]);
  // A term whose schedule has ended is as it was then.
  assert.deepEqual(reached([row(8, { ...two, ...near }), row(4, { terms: { box: [0.1] }, energy: [0.1] })])[1], { count: 1, all: 1 });
});

test("steps without a row are unguided, up to the last one that has been taken", () => {
  assert.deepEqual(curves(run([row(4), row(2)])).skipped, [0, 3]);
  assert.deepEqual(curves(run([row(4), row(2)], { done: false })).skipped, [0]);
  assert.deepEqual(curves(run([row(4), row(2)], { fault: "out of memory" })).skipped, [0]);
  assert.deepEqual(curves(run([row(4), row(2)], { interrupted: true })).skipped, [0]);
  assert.equal(curves(run([row(4), row(2)], { interrupted: true })).taken, 3);
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

test("a gradient that has vanished is worth a note, unless what was asked is reached", () => {
  const fading = [row(8, { grad_norm: [10] }), row(4, { grad_norm: [0.0011] }), row(2, { grad_norm: [0.0009] })];
  const made = curves(run(fading));
  assert.deepEqual(kinds(made), {});
  assert.deepEqual(made.notes, [{ kind: "saturated", steps: [2] }]);
  assert.deepEqual(curves(run(fading.map((one) => ({ ...one, reached: { colour: 1 } })))).notes, []);
});

test("large steps at low noise are too strong, with CFG and without; those of a measurement are not", () => {
  const sized = (sigma, size, spread, more) => row(sigma, { push: [size * TOO_STRONG * spread], spread, ...more });
  const rows = [sized(8, 9, 0.9), sized(4, 0.99, 0.5), sized(2, 1.01, 0.5)];
  assert.deepEqual(kinds(curves(run(rows))), { strong: [2] });
  assert.equal(curves(run(rows)).late, 1);
  assert.deepEqual(kinds(curves(run(rows.map((one) => ({ ...one, cfg_push: [0] }))))), { strong: [2] });
  assert.deepEqual(kinds(curves(run([row(8, { push: [99] })]))), {});
  assert.deepEqual(kinds(curves(run([sized(2, 9, 0.5, { terms: { Measurement: [1] } })]))), {});
});

test("thousands of rows take no time", () => {
  const rows = Array.from({ length: 5000 }, (_, i) => row(8 - (8 * i) / 5000));
  const begin = performance.now();
  assert.equal(curves(run(rows)).energy[0].points.length, 5000);
  assert.ok(performance.now() - begin < 2000);
});
