import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { distanceIn, NEAR, percentOf } from "../../web/distances_data.js";

const row = (terms, reached) => ({ terms, reached });

test("a position's distance is told in the same unit as its limit, whatever its weight", () => {
  for (const weight of [1, 0.25, 40]) {
    const rows = [row({ "Position circle": [weight * 0.2, 9], "Position square": [1] }, { "Position circle": weight * NEAR })];
    assert.ok(Math.abs(distanceIn(rows, "circle") - 0.2) < 1e-12);
  }
});

test("no distance where it is not known whose, or how much is near", () => {
  assert.equal(distanceIn([row({ "Position circle": [0.2] }, {})], "circle"), undefined);
  assert.equal(distanceIn([row({ "Position circle": [null] }, { "Position circle": NEAR })], "circle"), undefined);
  assert.equal(distanceIn([row({ "Position circle": [0.2] }, { "Position circle": NEAR })], "square"), undefined);
  assert.equal(distanceIn([], "circle"), undefined);
});

test("the last row that has the term counts", () => {
  const at = (value) => row({ "Position circle": [value] }, { "Position circle": NEAR });
  assert.ok(Math.abs(distanceIn([at(0.3), at(0.1)], "circle") - 0.1) < 1e-12);
});

test("percentages are short", () => {
  assert.deepEqual([0.004, 0.0512, 0.0949, 0.123, 0.5, 0].map(percentOf), ["0.4", "5", "9", "12", "50", "0"]);
});

const source = readFileSync(new URL("../../guidance_core/energies/position.py", import.meta.url), "utf-8");

test("near is what the energy calls near", { skip: !source.includes("NEAR = ") && "the energy says nowhere what is near" }, () => {
  assert.equal(Number(source.match(/^NEAR = ([\d.]+)/m)?.[1]), NEAR);
});
