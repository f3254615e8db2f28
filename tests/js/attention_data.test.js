/** Which attention maps are shown, and where they lie in the file that the server has written. */
import assert from "node:assert/strict";
import test from "node:test";
import { mapsOf, placeOf, tinted, viewOf } from "../../web/attention_data.js";

const FILE = { filename: "a.png", subfolder: "", type: "temp" };
const MAPS = {
  words: ["circle", "square"],
  sigmas: [10, 5, 1],
  layers: [[16, 24], [8, 12]],
  tile: [16, 24],
  columns: 4,
  maps: [FILE],
  below: [FILE],
};
const output = (maps) => ({ energy_guidance_attention: [maps] });

test("what a node puts out is taken as it is", () => {
  assert.deepEqual(mapsOf(output(MAPS)), MAPS);
  assert.deepEqual(mapsOf(output({ ...MAPS, below: [] })).below, []);
});

test("nothing, and other nodes' output, are no maps", () => {
  for (const other of [undefined, null, {}, "", 7, [], { images: [FILE] }, output(undefined), output(null), output("x"), output([]), output({})])
    assert.equal(mapsOf(other), null);
});

const BROKEN = {
  words: [[], "circle", [1], [null], undefined],
  sigmas: [[], [NaN], ["1"], [Infinity], undefined],
  layers: [[], [[16]], [[16, 0]], [[16, 1.5]], [[16, 24, 1]], [16], undefined],
  tile: [[16], [0, 24], [16, -1], ["16", "24"], 16, undefined],
  columns: [0, -1, 1.5, "4", NaN, undefined],
  maps: [[], [{}], [{ filename: "a.png" }], ["a.png"], [null], undefined],
  below: [[{}], [{ ...FILE, type: 1 }], undefined, "a.png"],
};
for (const [name, values] of Object.entries(BROKEN))
  test(`maps whose ${name} is broken are refused`, () => {
    for (const value of values) assert.equal(mapsOf(output({ ...MAPS, [name]: value })), null, JSON.stringify(value));
  });

test("maps lie by noise level, then layer with the mean first, then word, row by row", () => {
  // As the server lays them out: a counter through all of them.
  let index = 0;
  const seen = new Set();
  for (let step = 0; step < 3; step++)
    for (let layer = 0; layer < 3; layer++)
      for (let word = 0; word < 2; word++, index++) {
        const { x, y, width, height } = placeOf(MAPS, step, layer, word);
        assert.deepEqual([x / 24, y / 16], [index % 4, Math.floor(index / 4)]);
        assert.deepEqual([width, height], [24, 16]);
        seen.add(`${x} ${y}`);
      }
  assert.equal(seen.size, 18);
});

test("at first all words are shown, at the step where layout forms, as the mean of all layers", () => {
  assert.deepEqual(viewOf(MAPS, undefined), { image: 0, step: 1, layer: 0, words: [true, true], opacity: 0.8 });
  assert.equal(viewOf({ ...MAPS, sigmas: [8, 7, 6, 5, 4, 3, 2, 1] }, undefined).step, 2);
});

test("what was shown stays, as far as there is such a thing", () => {
  const before = { image: 5, step: 7, layer: 9, words: [false, true], opacity: 0.3 };
  assert.deepEqual(viewOf(MAPS, before), { image: 0, step: 2, layer: 2, words: [false, true], opacity: 0.3 });
  const other = viewOf(MAPS, { ...before, words: [true], image: -1, step: -1, layer: -1 });
  assert.deepEqual(other, { image: 0, step: 0, layer: 0, words: [true, true], opacity: 0.3 });
  assert.deepEqual(viewOf(MAPS, { ...before, step: 1, layer: 1 }).step, 1);
});

test("attention becomes a colour that is opaque by its square", () => {
  const grey = Uint8ClampedArray.from([0, 0, 0, 255, 128, 128, 128, 255, 255, 255, 255, 255]);
  assert.deepEqual([...tinted(grey, [10, 20, 30])], [10, 20, 30, 0, 10, 20, 30, 64, 10, 20, 30, 255]);
});
