/** Asks guidance_core, in Python, what it computes. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * The answers of tests/js/truth.py.
 * @param {...any[]} questions each a name and its arguments
 * @returns {any[]}
 */
export function truth(...questions) {
  const python = process.env.PYTHON ?? ".venv/bin/python";
  const input = JSON.stringify(questions);
  return JSON.parse(execFileSync(python, ["-m", "tests.js.truth"], { cwd: CHECKOUT, input, encoding: "utf-8" }));
}

/**
 * Fail unless numbers are as near to each other as rounding allows.
 * @param {number[]} found
 * @param {number[]} wanted
 * @param {number} [within]
 */
export function near(found, wanted, within = 1e-9) {
  assert.equal(found.length, wanted.length);
  const far = found.findIndex((value, i) => !(Math.abs(value - wanted[i]) <= within));
  if (far >= 0) assert.fail(`expected ${wanted[far]} at ${far}, got ${found[far]}`);
}
