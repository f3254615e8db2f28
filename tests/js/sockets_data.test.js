import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { SOCKETS } from "../../web/sockets_data.js";

/** Relative luminance, as in WCAG 2. */
function luminance(color) {
  const parts = color.match(/[\da-f]{2}/g).map((part) => parseInt(part, 16) / 255);
  const [red, green, blue] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
const contrast = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};

test("every type of the pack has a colour, and no two the same", () => {
  const source = readFileSync(new URL("../../nodes/inputs/sockets.py", import.meta.url), "utf-8");
  const types = [...source.matchAll(/io\.Custom\("(\w+)"\)/g)].map(([, type]) => type);
  assert.deepEqual(Object.keys(SOCKETS).sort(), types.sort());
  assert.equal(new Set(Object.values(SOCKETS)).size, types.length);
});

test("seen on the nodes of the dark and of the light theme", () => {
  for (const [type, color] of Object.entries(SOCKETS))
    for (const node of ["#353535", "#ffffff"]) assert.ok(contrast(color, node) >= 3, `${type} on ${node}: ${contrast(color, node)}`);
});
