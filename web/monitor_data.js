// @ts-check
/**
 * The records of a sampling run as curves to draw. "Push" is the size of the step on x0, told by that of
 * strength 1 in the scale `relative`. No host, no drawing.
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
 * @property {Record<string, number>} reached at or below which value a term counts as reached, where that is known
 * @property {number | null} spread the step of strength 1 in the scale `relative`
 *
 * @typedef {object} Message
 * @property {string} node
 * @property {string} prompt_id
 * @property {Row[]} rows
 * @property {boolean} done
 * @property {boolean} [interrupted] whether the run ended before its last step
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
 * @property {boolean} interrupted
 * @property {string} fault why it stopped, or ""
 * @property {string} decoder what decodes for energies of the image, or ""
 *
 * @typedef {{x: number, y: number, low: number, high: number}} Point x is a step; y the batch's mean
 * @typedef {{count: number, all: number}} Reached how many samples of the batch
 * @typedef {object} Series
 * @property {string} name
 * @property {string} rule
 * @property {string} term what is asked, as the server names it; "" is the sum of several
 * @property {number} color -1 is the colour of text
 * @property {Point[]} points
 * @property {Reached | null} reached in the last step; null where nothing says what is enough
 *
 * @typedef {{kind: string, steps: number[]}} Warning
 * @typedef {object} Curves
 * @property {number} steps
 * @property {Series[]} energy
 * @property {Series[]} gradient
 * @property {Series[]} push divided by that of strength 1 where `relative`
 * @property {boolean} relative
 * @property {number} late first step at low noise; infinite where there is none, or it is not known
 * @property {number[]} skipped steps without guidance
 * @property {number} taken steps that have been taken
 * @property {Warning[]} warnings of what harms the image
 * @property {Warning[]} notes of what does not
 */
import { lateFrom, notes, passed, warnings } from "./monitor_verdict_data.js";

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
    interrupted: Boolean(message.interrupted),
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
 * How many samples had reached what was asked when a term was last recorded.
 * @param {Row[]} rows
 * @param {string} term "" for the sum
 * @returns {Reached | null}
 */
function reachedIn(rows, term) {
  const row = rows.filter((one) => !term || Object.hasOwn(one.terms, term)).at(-1);
  const name = term || Object.keys(row?.reached ?? {}).find((one) => !Object.hasOwn(row?.terms ?? {}, one));
  const limit = name === undefined ? undefined : row?.reached?.[name];
  if (!row || limit === undefined) return null;
  const values = term ? row.terms[term] : row.energy;
  return { count: values.filter((value) => value !== null && value <= limit).length, all: values.length };
}

/**
 * @param {Run} run
 * @returns {Curves}
 */
export function curves(run) {
  const x = new Map(run.rows.map((row) => [row.sigma, stepOf(row.sigma, run.sigmas)]));
  const at = (/** @type {Row} */ row) => x.get(row.sigma) ?? 0;
  const relative = run.rows.length > 0 && run.rows.every((row) => row.spread);
  const guided = new Set([...x.values()].map(Math.floor));
  /** @type {Curves} */
  const result = {
    steps: Math.max(run.sigmas.length - 1, 1),
    energy: [],
    gradient: [],
    push: [],
    relative,
    late: relative ? lateFrom(run, (sigma) => x.get(sigma) ?? 0) : Infinity,
    ...passed(run, guided),
    warnings: [],
    notes: [],
  };
  let next = 0;
  for (const { rule, terms, rows } of grouped(run.rows)) {
    const parts = [...terms];
    const color = parts.length > 1 ? -1 : next++;
    const whole = { rule, term: parts.length === 1 ? parts[0] : "", color };
    const line = (/** @type {(row: Row) => Samples} */ read) => series(whole, rows, rows.map((row) => point(at(row), read(row))));
    result.energy.push(line((row) => row.energy));
    for (const part of parts.length > 1 ? parts : []) {
      const there = rows.filter((row) => Object.hasOwn(row.terms, part));
      const points = there.map((row) => point(at(row), row.terms[part]));
      result.energy.push(series({ rule, term: part, color: next++ }, rows, points));
    }
    result.gradient.push(line((row) => row.grad_norm));
    result.push.push(line((row) => (relative ? row.push.map((push) => push && push / Number(row.spread)) : row.push)));
  }
  result.warnings = warnings(result);
  result.notes = notes(result);
  return result;
}

/**
 * @param {{rule: string, term: string, color: number}} what
 * @param {Row[]} rows
 * @param {Point[]} points
 * @returns {Series}
 */
function series(what, rows, points) {
  return { ...what, name: `${what.rule}: ${what.term || "Σ"}`, points, reached: reachedIn(rows, what.term) };
}
