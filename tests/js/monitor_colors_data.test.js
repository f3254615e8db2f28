import assert from "node:assert/strict";
import test from "node:test";
import { inWordColors } from "../../web/monitor_colors_data.js";

const series = (name, color) => ({ name, color, points: [] });
const curves = (energy) => ({ energy, gradient: [energy[0]], push: [energy[0]] });
const colors = ({ energy, gradient, push }) => [energy, gradient, push].map((all) => all.map(({ color }) => color));
const words = { "red circle": 1, square: 0 };
const known = (phrase) => words[phrase];

test("curves of words have their colours, the others different ones, and sums that of text", () => {
  const made = curves([series("Forward: Σ", -1), series("Forward: MeanColor", 0), series("Forward: Box red circle", 1), series("Forward: Position square", 2)]);
  const [energy, gradient] = colors(inWordColors(made, known));
  assert.equal(energy[0], -1);
  assert.deepEqual(energy.slice(2), [1, 0]);
  assert.ok(energy[1] > 1);
  assert.deepEqual(gradient, [-1]);
});

test("the other rows of one energy follow it", () => {
  assert.deepEqual(colors(inWordColors(curves([series("Forward: Box red circle", 0)]), known)), [[1], [1], [1]]);
});

test("without words of the workflow nothing changes", () => {
  const made = curves([series("Forward: ClipText a red circle", 0), series("Forward: Σ", -1)]);
  assert.equal(inWordColors(made, known), made);
});
