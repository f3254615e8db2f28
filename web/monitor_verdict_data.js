// @ts-check
/** What the curves of a sampling run say of the image: what harms it, and what is only worth a word. */

/** @typedef {import("./monitor_data.js").Curves} Curves */
/** @typedef {import("./monitor_data.js").Point} Point */
/** @typedef {import("./monitor_data.js").Run} Run */
/** @typedef {import("./monitor_data.js").Warning} Warning */

/** A gradient below this fraction of the largest is all but noise. */
const VANISHED = 1e-4;
/**
 * Steps of more than this many times that of strength 1 spoil images where noise is low, so that nothing
 * heals them (bench/too_strong.py). Early ones may be larger: they decide what is where.
 */
export const TOO_STRONG = 1.5;
/** Below this posterior standard deviation of x0 noise is low: half of the square is noise. */
const LOW = Math.SQRT1_2;

/**
 * The first step at low noise; infinite where there is none.
 * @param {Run} run
 * @param {(sigma: number) => number} stepOf
 */
export function lateFrom(run, stepOf) {
  const low = run.rows.filter(({ spread }) => spread && spread < LOW).map(({ sigma }) => stepOf(sigma));
  return Math.min(Infinity, ...low);
}

/**
 * Steps that have been taken, and those of them without guidance.
 * @param {Run} run
 * @param {Set<number>} guided
 */
export function passed(run, guided) {
  const ended = run.done && !run.fault && !run.interrupted;
  const taken = ended ? Math.max(run.sigmas.length - 1, 0) : Math.max(-1, ...guided) + 1;
  return { taken, skipped: Array.from({ length: taken }, (_, step) => step).filter((s) => !guided.has(s)) };
}

/** Whether a run has ended in which no rule had work. @param {Run} run */
export const isUnguided = (run) => run.done && !run.rows.length && !run.fault && !run.interrupted;

/** @param {Curves} made @returns {Warning[]} */
export function warnings({ energy, gradient, push, late }) {
  const bad = [...energy, ...gradient, ...push].flatMap(({ points }) => points);
  // What was measured is an image to arrive at: there large steps do no harm.
  const strong = push.filter(({ term }) => !term.startsWith("Measurement")).flatMap(({ points }) => points);
  return [
    { kind: "nonfinite", steps: stepsOf(bad.filter((p) => Number.isNaN(p.y))) },
    { kind: "strong", steps: stepsOf(strong.filter((p) => p.x >= late && p.y > TOO_STRONG)) },
  ].filter(({ steps }) => steps.length);
}

/** @param {Curves} made @returns {Warning[]} */
export function notes({ energy, gradient }) {
  // What has been reached has no gradient left, as it should be.
  const open = gradient.filter(({ rule, term }) => !energy.some((one) => one.rule === rule && one.term === term && one.reached?.count));
  const peaks = open.map(({ points }) => Math.max(0, ...points.map((p) => p.y || 0)));
  const vanished = open.flatMap(({ points }, i) => points.filter((p) => p.y <= peaks[i] * VANISHED));
  return [{ kind: "saturated", steps: stepsOf(vanished) }].filter(({ steps }) => steps.length);
}

/** @param {Point[]} points */
const stepsOf = (points) => [...new Set(points.map((p) => Math.floor(p.x)))];
