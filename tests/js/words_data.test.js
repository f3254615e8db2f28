/** Words of a prompt, and the text that a click writes. */
import assert from "node:assert/strict";
import test from "node:test";
import { chosenBy, guessed, phraseAround, phrases, places, toggled } from "../../web/words_data.js";

const spelt = (...words) => words.map((text) => ({ text, pieces: [text], weight: 1 }));
const PROMPT = places(spelt("a", "red", "circle", "and", "a", "white", "circle"));

test("occurrences of a word are counted in the order of the prompt", () => {
  const found = PROMPT.map(({ word, number, of }) => `${word} ${number}/${of}`);
  assert.deepEqual(found, ["a 1/2", "red 1/1", "circle 1/2", "and 1/1", "a 2/2", "white 1/1", "circle 2/2"]);
  assert.deepEqual(places([]), []);
  // Words that are names of an object's own properties are words.
  assert.deepEqual(places(spelt("constructor", "__proto__", "constructor")).map(({ number, of }) => [number, of]), [[1, 2], [1, 1], [2, 2]]);
});

test("pieces and weights stay with their word", () => {
  const [one] = places([{ text: "octagon", pieces: ["oct", "agon"], weight: 1.3 }]);
  assert.deepEqual(one, { word: "octagon", pieces: ["oct", "agon"], weight: 1.3, number: 1, of: 1 });
});

test("words are guessed as the tokenizer's side finds them", () => {
  const words = (prompt) => guessed(prompt).map(({ text }) => text);
  assert.deepEqual(words("A (Red:1.2) circle, don't-stop"), ["a", "red", "1", "2", "circle", "don't-stop"]);
  assert.deepEqual(words("빨간 원, Ünder_score"), ["빨간", "원", "ünder_score"]);
  assert.deepEqual(words(" \n.,!-' "), []);
  assert.deepEqual(words("<img src=x onerror=alert(1)>"), ["img", "src", "x", "onerror", "alert", "1"]);
  assert.deepEqual(guessed("Red"), [{ text: "red", pieces: ["red"], weight: 1 }]);
});

test("phrases are one per line or comma-separated", () => {
  assert.deepEqual(phrases("circle\nred , white\n\n, "), ["circle", "red", "white"]);
  assert.deepEqual(phrases("red circle\r\nwhite"), ["red circle", "white"]);
  assert.deepEqual(phrases(""), []);
});

test("a place is chosen by its word, or by its word and number", () => {
  const [first, second] = PROMPT.filter(({ word }) => word === "circle");
  const by = (phrase) => [chosenBy(first, [phrase]), chosenBy(second, [phrase])];
  assert.deepEqual(by("circle"), [0, 0]);
  assert.deepEqual(by("CIRCLE"), [0, 0]);
  assert.deepEqual(by("circle#2"), [-1, 0]);
  assert.deepEqual(by("Circle #1"), [0, -1]);
  assert.deepEqual(by("circle#3"), [-1, -1]);
  assert.deepEqual(by("red circle"), [-1, -1]);
  // The server takes no blank between # and the number, nor a leading 0.
  assert.deepEqual(by("circle# 2"), [-1, -1]);
  assert.deepEqual(by("circle#02"), [-1, -1]);
  assert.equal(chosenBy(second, ["red", "circle#2"]), 1);
});

test("a phrase of several words marks the places that it covers, and no others", () => {
  const marked = (phrase) => PROMPT.map((_, index) => phraseAround(PROMPT, index, [phrase]) === phrase);
  assert.deepEqual(marked("red circle"), [false, true, true, false, false, false, false]);
  assert.deepEqual(marked("A White Circle"), [false, false, false, false, true, true, true]);
  assert.deepEqual(marked("circle red"), PROMPT.map(() => false));
  assert.deepEqual(marked("circle"), PROMPT.map(() => false));
  assert.deepEqual(marked("red circle#1"), [false, true, true, false, false, false, false]);
});

test("a click chooses one place, both make the word, and a third click leaves the other", () => {
  assert.equal(toggled(PROMPT, 2, ""), "circle#1");
  assert.equal(toggled(PROMPT, 6, "circle#1"), "circle");
  assert.equal(toggled(PROMPT, 2, "circle"), "circle#2");
  assert.equal(toggled(PROMPT, 6, "circle#2"), "");
  assert.equal(toggled(PROMPT, 1, ""), "red");
  assert.equal(toggled(PROMPT, 1, "red"), "");
});

test("other phrases keep their place and their spelling", () => {
  assert.equal(toggled(PROMPT, 2, "Red\ncircle#2\nwhite"), "Red\ncircle\nwhite");
  assert.equal(toggled(PROMPT, 2, "big blue thing, red"), "big blue thing\nred\ncircle#1");
  assert.equal(toggled(PROMPT, 5, "a, white, red circle"), "a\nred circle");
  assert.equal(toggled(PROMPT, 6, "circle#1, red, circle #2"), "circle#1\nred");
});

test("what is written is what is chosen", () => {
  let text = "";
  const on = PROMPT.map(() => false);
  for (const index of [2, 1, 6, 0, 2, 4, 6, 5, 0, 3]) {
    text = toggled(PROMPT, index, text);
    on[index] = !on[index];
    assert.deepEqual(PROMPT.map((place) => chosenBy(place, phrases(text)) >= 0), on, text);
  }
});
