// @ts-check
/**
 * The records of a sampling run as curves to draw. "Push" is the size of the step on x0. No host, no drawing.
 *
 * @typedef {(number | null)[]} Samples one number per sample of the batch, null where not finite
 * @typedef {object} Row
 * @property {string} rule
 * @property {number} sigma
 * @property {Samples} energy
 * @property {Samples} grad_norm
 * @property {Samples} push
 * @property {Samples | null} cfg_push
 * @property {Record<string, Samples>} terms
 *
 * @typedef {object} Message
 * @property {string} node
 * @property {string} prompt_id
 * @property {Row[]} rows
 * @property {boolean} done
 * @property {(number | null)[]} [sigmas] in the first message of a run
 * @property {(number | null)[]} [levels]
 * @property {string} [decoder]
 *
 * @typedef {object} Run
 * @property {string} prompt
 * @property {number[]} sigmas noise levels of the steps
 * @property {number[]} levels noise levels at even percentages of the model's schedule
 * @property {Row[]} rows
 * @property {boolean} done
 * @property {string} fault why it stopped, or ""
 * @property {string} decoder what decodes for energies of the image, or ""
 *
 * @typedef {{x: number, y: number, low: number, high: number}} Point x is a step; y the batch's mean
 * @typedef {{name: string, color: number, points: Point[]}} Series color -1 is the colour of text
 * @typedef {{kind: string, steps: number[]}} Warning
 * @typedef {object} Curves
 * @property {number} steps
 * @property {Series[]} energy
 * @property {Series[]} gradient
 * @property {Series[]} push divided by CFG's push where `relative`
 * @property {boolean} relative
 * @property {number[]} skipped steps without guidance
 * @property {Warning[]} warnings
 */

/** A gradient below this fraction of the largest is noise, which the scale `relative` would amplify. */
const VANISHED = 1e-4;
/** A push of more than this many times CFG's overexposes the image. */
const OVERPOWERING = 3;

/**
 * @param {Run | undefined} run
 * @param {Message} message
 * @returns {Run}
 */
export function withMessage(run, message) {
  const fresh = message.sigmas || !run;
  const rows = fresh ? message.rows : [...run.rows, ...message.rows];
  return {
    prompt: message.prompt_id,
    sigmas: fresh ? numbers(message.sigmas ?? []) : run.sigmas,
    levels: fresh ? numbers(message.levels ?? []) : run.levels,
    rows,
    done: message.done,
    fault: "",
    decoder: (fresh ? message.decoder : run.decoder) ?? "",
  };
}

/** @param {(number | null)[]} values */
const numbers = (values) => values.map((value) => value ?? NaN);

/**
 * The position of a noise level among the falling levels of a run, in steps.
 * @param {number} sigma
 * @param {number[]} sigmas
 */
export function stepOf(sigma, sigmas) {
  const below = sigmas.findIndex((level) => level < sigma * (1 - 1e-5));
  if (below <= 0) return below === 0 ? 0 : Math.max(sigmas.length - 1, 0);
  const [high, low] = [sigmas[below - 1], sigmas[below]];
  return below - 1 + Math.min(1, Math.max(0, (high - sigma) / (high - low)));
}

/**
 * @param {number} x
 * @param {Samples} values
 * @returns {Point}
 */
function point(x, values) {
  if (values.some((value) => value === null)) return { x, y: NaN, low: NaN, high: NaN };
  const known = /** @type {number[]} */ (values);
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  return { x, y: mean, low: Math.min(...known), high: Math.max(...known) };
}

/**
 * Rows by rule and energy: rows of one rule that share a term belong together.
 * @param {Row[]} rows
 * @returns {{rule: string, terms: Set<string>, rows: Row[]}[]}
 */
function grouped(rows) {
  /** @type {{rule: string, terms: Set<string>, rows: Row[]}[]} */
  const groups = [];
  for (const row of rows) {
    const names = Object.keys(row.terms);
    const same = groups.find(
      ({ rule, terms }) =>
        rule === row.rule && (!names.length || names.some((name) => terms.has(name))),
    );
    const group = same ?? { rule: row.rule, terms: new Set(), rows: [] };
    if (!same) groups.push(group);
    for (const name of names) group.terms.add(name);
    group.rows.push(row);
  }
  return groups;
}

/**
 * @param {Run} run
 * @returns {Curves}
 */
export function curves(run) {
  const x = new Map(run.rows.map((row) => [row.sigma, stepOf(row.sigma, run.sigmas)]));
  const at = (/** @type {Row} */ row) => x.get(row.sigma) ?? 0;
  const relative = comparable(run.rows);
  /** @type {Curves} */
  const result = {
    steps: Math.max(run.sigmas.length - 1, 1),
    energy: [],
    gradient: [],
    push: [],
    relative,
    skipped: [],
    warnings: [],
  };
  let next = 0;
  for (const { rule, terms, rows } of grouped(run.rows)) {
    const parts = [...terms];
    const color = parts.length > 1 ? -1 : next++;
    const whole = parts.length === 1 ? `${rule}: ${parts[0]}` : `${rule}: Σ`;
    const line = (/** @type {(row: Row) => Samples} */ read) => ({
      name: whole,
      color,
      points: rows.map((row) => point(at(row), read(row))),
    });
    result.energy.push(line((row) => row.energy));
    for (const part of parts.length > 1 ? parts : []) {
      const there = rows.filter((row) => Object.hasOwn(row.terms, part));
      const points = there.map((row) => point(at(row), row.terms[part]));
      result.energy.push({ name: `${rule}: ${part}`, color: next++, points });
    }
    result.gradient.push(line((row) => row.grad_norm));
    result.push.push(line((row) => (relative ? ratios(row) : row.push)));
  }
  result.skipped = skipped(run, new Set([...x.values()].map(Math.floor)));
  result.warnings = warnings(result);
  return result;
}

/**
 * Whether CFG has a push to compare with: not at CFG 1, nor where both prompts are equal.
 * @param {Row[]} rows
 */
function comparable(rows) {
  const sum = (/** @type {Samples} */ values) => values.reduce((/** @type {number} */ all, one) => all + (one ?? 0), 0);
  const cfg = rows.reduce((all, row) => all + sum(row.cfg_push ?? []), 0);
  const push = rows.reduce((all, row) => all + sum(row.push), 0);
  return rows.length > 0 && rows.every((row) => row.cfg_push) && cfg > 0.01 * push;
}

/** @param {Row} row @returns {Samples} */
function ratios(row) {
  return row.push.map((push, index) => {
    const cfg = row.cfg_push?.[index];
    return push === null || !cfg ? null : push / cfg;
  });
}

/**
 * @param {Run} run
 * @param {Set<number>} guided
 */
function skipped(run, guided) {
  const last = run.done && !run.fault ? run.sigmas.length - 1 : Math.max(0, ...guided);
  return Array.from({ length: Math.max(last, 0) }, (_, step) => step).filter((s) => !guided.has(s));
}

/** @param {Curves} made @returns {Warning[]} */
function warnings({ energy, gradient, push, relative }) {
  const bad = [...energy, ...gradient, ...push].flatMap(({ points }) => points);
  const peaks = gradient.map(({ points }) => Math.max(0, ...points.map((p) => p.y || 0)));
  const vanished = gradient.flatMap(({ points }, i) =>
    points.filter((p) => p.y <= peaks[i] * VANISHED),
  );
  const strong = relative ? push.flatMap(({ points }) => points) : [];
  return [
    { kind: "nonfinite", steps: stepsOf(bad.filter((p) => Number.isNaN(p.y))) },
    { kind: "saturated", steps: stepsOf(vanished) },
    { kind: "overpowering", steps: stepsOf(strong.filter((p) => p.y > OVERPOWERING)) },
  ].filter(({ steps }) => steps.length);
}

/** @param {Point[]} points */
const stepsOf = (points) => [...new Set(points.map((p) => Math.floor(p.x)))];
