import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { fitting, ordered, STARTS, TYPES, usage } from "../../web/finding_data.js";

const CONTRACT = JSON.parse(readFileSync(new URL("../host/contract.json", import.meta.url), "utf-8"));
const network = (kind, slot, isOutput) => fitting({ kind, slot, type: "GUIDE_NETWORK", isOutput });

test("a network's loader leads at its energy, and its energy at the loader", () => {
  assert.deepEqual(network("EGEnergyDetection", "network", false), ["EGLoadDetector"]);
  assert.deepEqual(network("EGEnergyFaceIdentity", "network", false), ["EGLoadFaceEncoder"]);
  assert.deepEqual(network("EGEnergyFaceIdentity", "detector", false), ["EGLoadDetector"]);
  assert.equal(network("EGLoadDetector", "network", true)[0], "EGEnergyDetection");
  assert.deepEqual(network("Other", "network", false), []);
});

test("what fits counts as used more than the starts, those more than the rest, and all less than stock nodes", () => {
  const socket = { kind: "EGEnergyBox", slot: "energy", type: "GUIDANCE_ENERGY", isOutput: true };
  const [first, second] = fitting(socket);
  const counts = [first, second, STARTS[0], STARTS[1], "EGPlotTrace"].map((kind) => usage(kind, socket));
  assert.deepEqual(counts, [...counts].sort((one, other) => other - one));
  assert.equal(new Set(counts).size, counts.length);
  assert.ok(counts.every((count) => count >= 0 && count <= 1));
  assert.equal(usage(first, undefined), 0);
});

test("a menu leads with what fits, and has all that it had", () => {
  assert.deepEqual(ordered(["Reroute", "a", "b", "c"], ["c", "x", "a"]), ["c", "a", "Reroute", "b"]);
});

test("what fits a socket is there, and has a socket of its type on the other side", () => {
  for (const [side, isOutput] of [["outputs", true], ["inputs", false]])
    for (const type of TYPES[side]) for (const kind of fitting({ kind: "", slot: "", type, isOutput })) assert.ok(JSON.stringify(CONTRACT[kind]).includes(type), `${kind} ${type}`);
});
