/** Boxes for words: their text, and what a click on a word does. */
import assert from "node:assert/strict";
import test from "node:test";
import { boxOf, clicked, parsed, written } from "../../web/place_data.js";
import { places } from "../../web/words_data.js";

const PROMPT = places("a red circle and a blue circle".split(" ").map((text) => ({ text, pieces: [text], weight: 1 })));
const BOX = { left: 0.1, top: 0.2, right: 0.5, bottom: 0.6, angle: 0 };

test("lines are read and written, and what is no box is left out", () => {
  const text = "red circle: 0.1 0.2 0.5 0.6\n\nwithout numbers\nblue: 0.1 0.2 0.5 0.6 -30\n: 0 0 1 1\nred: 0 0 1\na: b: 0 0 1 x";
  const boxes = parsed(text);
  assert.deepEqual(boxes, [{ words: "red circle", values: BOX }, { words: "blue", values: { ...BOX, angle: -30 } }]);
  assert.equal(written(boxes), "red circle: 0.1 0.2 0.5 0.6\nblue: 0.1 0.2 0.5 0.6 -30");
  assert.deepEqual(parsed(""), []);
});

test("a click makes the box of a word where the others leave most room, chooses it, and takes it away", () => {
  const first = clicked(PROMPT, 1, [], -1, false);
  assert.equal(first.chosen, 0);
  assert.equal(written(first.boxes), "red: 0.3 0.3 0.7 0.7");
  const second = clicked(PROMPT, 2, first.boxes, 0, false);
  assert.deepEqual([second.chosen, second.boxes[1].words], [1, "circle#1"]);
  const [a, b] = second.boxes.map(({ values }) => values);
  const shared = Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
  assert.ok(shared < 0.02, `${shared}`);
  assert.deepEqual(clicked(PROMPT, 1, second.boxes, 1, false), { boxes: second.boxes, chosen: 0 });
  assert.deepEqual(clicked(PROMPT, 1, second.boxes, 0, false), { boxes: [second.boxes[1]], chosen: -1 });
});

test("with Shift a neighbour joins the chosen box, and a word that stands elsewhere gets its own", () => {
  const boxes = [{ words: "red", values: BOX }];
  const joined = clicked(PROMPT, 2, boxes, 0, true);
  assert.deepEqual(joined, { boxes: [{ words: "red circle", values: BOX }], chosen: 0 });
  assert.deepEqual([1, 2, 5, 6].map((index) => boxOf(PROMPT, index, joined.boxes)), [0, 0, -1, -1]);
  assert.equal(clicked(PROMPT, 5, boxes, 0, true).boxes.length, 2);
  assert.equal(clicked(PROMPT, 1, [{ words: "circle#1", values: BOX }], 0, true).boxes[0].words, "red circle");
});
