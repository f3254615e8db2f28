/** Schedules in the browser against guidance_core's own. */
import assert from "node:assert/strict";
import test from "node:test";
import { CURVES, SHAPES, withAdded, withMoved, windowPoints, pointsFrom, percentAt, withRemoved, sigmaAt, onGrid, textOf } from "../../web/schedule_data.js";
import { near, truth } from "./truth.js";

const WINDOWS = [[0, 1], [0.1, 0.7], [0.35, 0.4]].flatMap((window) =>
  ["constant", "linear_down", "linear_up", "cosine"].map((curve) => [...window, curve]),
);
// Not in the first 64th: its highest noise level is infinite, which guidance_core places at its end.
const PERCENTS = Array.from({ length: 201 }, (_, i) => 0.02 + (0.98 * i) / 201);
const TEXTS = [
  ...["0:0, 0.3:1, 0.7:0.5", "0:1,1:0", "0:1\n0.5:2\n1:0", " 0 : 1 , 1 : 0 ,", "0:1, 0.5:1, 0.5:0, 1:0", "0:1e1, 1:.5", "-0:1, 1:1", "+0.5:1, 1:1", "0:1., 1:1"],
  ...["", ",", "0:1", "0:1, x", "0:1:2, 1:1", "0.5:1, 0.2:1", "0:1, 2:1", "0:, 1:1", ":1, 1:1", "-0.1:1, 1:1", "0:-1, 1:1", "0.5:1, 0.5:2"],
  ...["0:nan, 1:1", "nan:0, 1:1", "0:inf, 1:1", "0:Infinity, 1:1", "0:1e999, 1:1", "0:0x1, 1:1", "0:0b1, 1:1", "0:1 1, 1:1", "0:true, 1:1", "0:1;1:1", "0:null, 1:1", "0:1e, 1:1", "0:., 1:1"],
];
const SIGMAS = [100, 14.6, 9, 3, 1, 0.7, 0.03, 0.01, 0];
const LEVELS = [14.6, 9, 3, 1, 0.4, 0.03];
const FLAT = [5, 3, 3, 3, 1];
const [STRENGTHS, POINTS, DRAWN, PROGRESS, FLAT_PROGRESS] = truth(
  ["windows", WINDOWS, PERCENTS],
  ["points", TEXTS],
  ["heights", [[0.1, 0.5], [0.4, 2], [0.4, 1], [0.9, 0]], PERCENTS],
  ["progress", SIGMAS, LEVELS],
  ["progress", [5, 4, 3, 2, 1], FLAT],
);

/** Height of the lines through points, as they are drawn: 0 outside. */
function height(points, percent) {
  const after = points.findIndex(([x]) => x > percent);
  if (after <= 0) return 0;
  const [[left, low], [right, high]] = [points[after - 1], points[after]];
  return low + ((high - low) * (percent - left)) / (right - left);
}

WINDOWS.forEach(([start, end, curve], index) => {
  test(`${curve} in ${start} to ${end} is drawn as it guides`, () => {
    const points = windowPoints(start, end, curve);
    // The cosine is drawn as eight lines: off by at most pi^2 / 16 of the square of an eighth.
    const within = curve === "cosine" ? Math.PI ** 2 / 16 / 64 : 1e-6;
    near(PERCENTS.map((percent) => height(points, percent)), STRENGTHS[index], within + 1e-6);
  });
});

test("the corners of a drawn cosine lie on it", () => {
  for (const [percent, strength] of windowPoints(0, 1, "cosine")) near([strength], [(1 + Math.cos(Math.PI * percent)) / 2]);
  near([0, 0.3, 1].map(CURVES.linear_up), [0, 0.3, 1]);
  near([0, 0.3, 1].map(CURVES.linear_down), [1, 0.7, 0]);
  assert.deepEqual(Object.keys(CURVES), ["constant", "linear_down", "linear_up", "cosine"]);
  assert.deepEqual(windowPoints(0.2, 0.6, "unknown"), windowPoints(0.2, 0.6, "constant"));
});

TEXTS.forEach((text, index) => {
  test(`both sides read ${JSON.stringify(text)} alike`, () => {
    const [wanted, found] = [POINTS[index], pointsFrom(text)];
    if (wanted) near(found.flat(), wanted.flat());
    else assert.equal(found, null);
  });
});

test("points drawn by hand are lines between them, with jumps", () => {
  const points = pointsFrom("0.1:0.5, 0.4:2, 0.4:1, 0.9:0");
  near(PERCENTS.map((percent) => height(points, percent)), DRAWN, 1e-6);
});

test("what is written is read again", () => {
  const points = [[0, 0.1], [0.3333, 1e-4], [0.5, 12.5], [1, 0]];
  assert.deepEqual(pointsFrom(textOf(points)), points);
  assert.equal(textOf([[0.30000000000000004, 1], [1, 0.12345678]]), "0.3:1, 1:0.1235");
  for (const shape of Object.values(SHAPES)) {
    const drawn = shape(0.1, 0.6);
    near(pointsFrom(textOf(drawn)).flat(), drawn.flat(), 1e-4);
    assert.deepEqual([drawn[0][0], drawn.at(-1)[0]], [0.1, 0.6]);
  }
});

test("the shapes to begin with are what their names say", () => {
  assert.deepEqual(SHAPES.bell(0, 1), [[0, 0], [0.25, 0.5], [0.5, 1], [0.75, 0.5], [1, 0]]);
  assert.deepEqual(SHAPES.late(0, 1), [[0, 0], [0.3, 1], [1, 1]]);
  assert.deepEqual(SHAPES.steps(0, 1), [[0, 1], [0.5, 1], [0.5, 0.5], [1, 0.5]]);
});

test("a point is moved on the grid, between its neighbours and not below 0", () => {
  const points = [[0, 1], [0.4, 1], [0.8, 0]];
  assert.deepEqual(withMoved(points, 1, [0.523, 0.777], 0.01), [[0, 1], [0.52, 0.78], [0.8, 0]]);
  assert.deepEqual(withMoved(points, 1, [2, -3], 0.01)[1], [0.8, 0]);
  assert.deepEqual(withMoved(points, 1, [-2, 3], 0.01)[1], [0, 3]);
  assert.deepEqual(withMoved(points, 2, [0.1, 1], 0.01)[2], [0.4, 1]);
  assert.deepEqual(withMoved(points, 0, [-1, 1], 0.01)[0], [0, 1]);
  assert.deepEqual(withMoved(points, 2, [9, 1], 0.01)[2], [1, 1]);
});

test("points never come to one position", () => {
  const points = [[0.2, 1], [0.5, 1]];
  assert.deepEqual(withMoved(points, 0, [0.5, 1], 0.01), points);
  assert.deepEqual(withRemoved(points, 0), points);
  const jump = [[0.2, 1], [0.2, 0], [0.5, 1]];
  assert.deepEqual(withRemoved(jump, 2), jump);
  assert.deepEqual(withRemoved(jump, 1), [[0.2, 1], [0.5, 1]]);
});

test("a point is added in its place, behind another at the same position", () => {
  const points = [[0.2, 1], [0.5, 0]];
  assert.deepEqual(withAdded(points, [0.3, 2]), [[[0.2, 1], [0.3, 2], [0.5, 0]], 1]);
  assert.deepEqual(withAdded(points, [0.2, 2]), [[[0.2, 1], [0.2, 2], [0.5, 0]], 1]);
  assert.deepEqual(withAdded(points, [0.1, 2]), [[[0.1, 2], [0.2, 1], [0.5, 0]], 0]);
  assert.deepEqual(withAdded(points, [0.9, 2]), [[[0.2, 1], [0.5, 0], [0.9, 2]], 2]);
});

test("numbers on the grid have no tail", () => {
  assert.equal(onGrid(0.1 + 0.2, 0.01), 0.3);
  assert.equal(onGrid(0.57, 0.01), 0.57);
  assert.equal(onGrid(0.0149, 0.01), 0.01);
  assert.equal(onGrid(0.1234, 0.001), 0.123);
});

test("percentages of noise levels are guidance_core's", () => {
  near(SIGMAS.map((sigma) => percentAt(sigma, LEVELS)), PROGRESS);
  near([5, 4, 3, 2, 1].map((sigma) => percentAt(sigma, FLAT)), FLAT_PROGRESS);
});

test("noise levels and percentages turn into each other", () => {
  for (const percent of [0, 0.13, 0.2, 0.5, 0.77, 1]) near([percentAt(sigmaAt(percent, LEVELS), LEVELS)], [percent], 1e-9);
  near([sigmaAt(0, LEVELS), sigmaAt(0.2, LEVELS), sigmaAt(0.3, LEVELS), sigmaAt(1, LEVELS)], [14.6, 9, 6, 0.03]);
});
