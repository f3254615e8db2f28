/** What a drag does to the numbers of boxes, points and outlines. */
import assert from "node:assert/strict";
import test from "node:test";
import { handlePosition } from "../../web/layout_data.js";
import { valuesAfterDrag, snapper, turnedBy, rounded } from "../../web/layout_drag_data.js";
import { near } from "./truth.js";

const free = () => 0;
const BOX = { left: 0.1, top: 0.2, right: 0.5, bottom: 0.6, angle: 0 };
const item = (values, more = {}) => ({ kind: "box", values, label: "", color: 0, own: true, aspect: 1, ...more });
const sides = ({ left, top, right, bottom }) => [left, top, right, bottom];

/** Where a place comes to among others. */
const snapped = (others) => (axis, value) => rounded(value + snapper(others)(axis, [value]));

test("each corner moves its own two sides", () => {
  const after = (handle) => sides(valuesAfterDrag(item(BOX), handle, 0.05, 0.03, free));
  near(after("nw"), [0.15, 0.23, 0.5, 0.6]);
  near(after("ne"), [0.1, 0.23, 0.55, 0.6]);
  near(after("sw"), [0.15, 0.2, 0.5, 0.63]);
  near(after("se"), [0.1, 0.2, 0.55, 0.63]);
});

test("a box is never turned inside out, nor dragged out of the image", () => {
  near(sides(valuesAfterDrag(item(BOX), "se", -2, -2, free)), [0.1, 0.2, 0.12, 0.22]);
  near(sides(valuesAfterDrag(item(BOX), "nw", 2, 2, free)), [0.48, 0.58, 0.5, 0.6]);
  near(sides(valuesAfterDrag(item(BOX), "se", 2, 2, free)), [0.1, 0.2, 1, 1]);
  near(sides(valuesAfterDrag(item(BOX), "move", 2, -2, free)), [0.6, 0, 1, 0.4]);
  near(sides(valuesAfterDrag(item(BOX), "move", -2, 2, free)), [0, 0.6, 0.4, 1]);
});

test("moving keeps the size and the other numbers", () => {
  const values = valuesAfterDrag(item({ ...BOX, angle: 30 }), "move", 0.1, -0.05, free);
  near(sides(values), [0.2, 0.15, 0.6, 0.55]);
  assert.equal(values.angle, 30);
});

for (const angle of [15, 45, 90, -120, 180]) {
  for (const aspect of [1, 16 / 9]) {
    test(`the corner across stays where a box turned by ${angle}° is resized, at ${aspect.toFixed(2)}`, () => {
      for (const [handle, across] of [["se", "nw"], ["nw", "se"], ["ne", "sw"], ["sw", "ne"]]) {
        const before = item({ left: 0.35, top: 0.35, right: 0.65, bottom: 0.6, angle }, { aspect });
        // Outwards, so that the box grows.
        const [[x, y], [cx, cy]] = [handlePosition(before, handle), handlePosition(before, "move")];
        const [dx, dy] = [0.2 * (x - cx), 0.2 * (y - cy)];
        const after = item(valuesAfterDrag(before, handle, dx, dy, free), { aspect });
        near(handlePosition(after, across), handlePosition(before, across), 3e-4);
        near(handlePosition(after, handle), [x + dx, y + dy], 3e-4);
      }
    });
  }
}

test("a turned box stops at its smallest size", () => {
  const after = valuesAfterDrag(item({ ...BOX, angle: 90 }), "se", 5, -5, free);
  near([after.right - after.left, after.bottom - after.top], [0.02, 0.02], 2e-4);
});

test("the dot on the upper edge points to where it is dragged", () => {
  const box = item({ left: 0.4, top: 0.4, right: 0.6, bottom: 0.6, angle: 0 });
  const turn = (dx, dy, snap = free) => valuesAfterDrag(box, "turn", dx, dy, snap).angle;
  assert.equal(turn(0, -0.3), 0);
  assert.equal(turn(0.1, 0.1), 90);
  assert.equal(turn(-0.1, 0.1), -90);
  assert.equal(turn(0.1, 0), 45);
  assert.equal(Math.abs(turn(0, 0.2)), 180);
  // Pixels count: right by 0.05 of an image twice as wide as high is as far as up by 0.1.
  assert.equal(valuesAfterDrag({ ...box, aspect: 2 }, "turn", 0.05, 0, free).angle, 45);
  // 40 degrees are nearer to 45 than to 30.
  const [x, y] = [0.1 * Math.sin((40 * Math.PI) / 180), 0.1 * (1 - Math.cos((40 * Math.PI) / 180))];
  assert.equal(turn(x, y), 40);
  assert.equal(turn(0.1, -0.1 * Math.tan((49.4 * Math.PI) / 180) + 0.1), 41);
  assert.equal(turn(x, y, snapper([])), 45);
});

test("keys turn round and round, in whole degrees", () => {
  const angle = (from, by) => turnedBy(item({ ...BOX, angle: from }), by).angle;
  assert.equal(angle(10, 5), 15);
  assert.equal(angle(175, 10), -175);
  assert.equal(angle(-175, -10), 175);
  assert.equal(angle(undefined, 1), 1);
});

test("a point follows and stays in the image", () => {
  const point = item({ x: 0.5, y: 0.5 }, { kind: "point" });
  assert.deepEqual(valuesAfterDrag(point, "move", 0.1, -0.2, free), { x: 0.6, y: 0.3 });
  assert.deepEqual(valuesAfterDrag(point, "move", 9, -9, free), { x: 1, y: 0 });
});

test("an outline is moved and scaled within its range", () => {
  const outline = item({ shift_x: 0, shift_y: 0, scale: 1, angle: 0 }, { kind: "shift" });
  assert.deepEqual(valuesAfterDrag(outline, "move", 0.1, -0.2, free), { shift_x: 0.1, shift_y: -0.2, scale: 1, angle: 0 });
  assert.deepEqual(valuesAfterDrag(outline, "move", 7, -7, free), { shift_x: 1, shift_y: -1, scale: 1, angle: 0 });
  // Its corner lies a quarter of the image from its middle, so half the sum of both ways is a doubling.
  near([valuesAfterDrag(outline, "se", 0.25, 0.25, free).scale], [2]);
  near([valuesAfterDrag(outline, "se", -5, -5, free).scale], [0.1]);
});

test("a turned outline scales along its own diagonal", () => {
  const outline = item({ shift_x: 0, shift_y: 0, scale: 1, angle: 90 }, { kind: "shift" });
  // Its corner at the lower right has come to the lower left.
  near(handlePosition(outline, "se"), [0.25, 0.75]);
  near([valuesAfterDrag(outline, "se", -0.25, 0.25, free).scale], [2]);
});

test("places snap to guides first, then to the grid, angles to notches", () => {
  const snap = snapped([item({ left: 0.27, top: 0.1, right: 0.83, bottom: 0.9, angle: 0 })]);
  assert.equal(snap("x", 0.34), 0.3333);
  assert.equal(snap("x", 0.489), 0.5);
  assert.equal(snap("x", 0.995), 1);
  assert.equal(snap("x", 0.281), 0.27);
  assert.equal(snap("x", 0.82), 0.83);
  assert.equal(snap("y", 0.11), 0.1);
  // Sides of another box that lie on the other axis do not pull.
  near([snap("y", 0.271)], [0.27]);
  near([snap("y", 0.2777)], [0.28]);
  near([snap("x", 0.4049)], [0.4]);
  assert.equal(snap("angle", 22), 15);
  assert.equal(snap("angle", 23), 30);
});

test("the nearer of two guides pulls", () => {
  const snap = snapped([item({ left: 0.49, top: 0, right: 0.8, bottom: 1, angle: 0 })]);
  assert.equal(snap("x", 0.494), 0.49);
  assert.equal(snap("x", 0.496), 0.5);
});

test("a turned box pulls with the edges that are seen", () => {
  const snap = snapped([item({ left: 0.3, top: 0.4, right: 0.5, bottom: 0.6, angle: 45 })]);
  near([snap("x", 0.4 + 0.1 * Math.SQRT2 + 0.01)], [0.4 + 0.1 * Math.SQRT2], 1e-4);
});

test("a box that is moved lies with the nearer side on a guide, however far the other is off the grid", () => {
  const across = (left, right, dx) => {
    const values = valuesAfterDrag(item({ ...BOX, left, right }), "move", dx, 0, snapper([]));
    return [values.left, values.right];
  };
  near(across(0.12, 0.52, -0.023), [0.1, 0.5]);
  near(across(0.013, 0.303, 0.029), [0.0433, 0.3333]);
  near(across(0.3, 0.7, 0.038), [0.3333, 0.7333]);
  // The right side is 0.0037 from two thirds, the left one 0.0133 from a half.
  near(across(0.4, 0.55, 0.1133), [0.5167, 0.6667], 1e-4);
});

test("a box whose sides lie on no grid comes onto it with its left and upper side", () => {
  const values = valuesAfterDrag(item({ left: 0.123, top: 0.127, right: 0.4, bottom: 0.43, angle: 0 }), "move", 0.031, 0.041, snapper([]));
  near(sides(values), [0.15, 0.17, 0.427, 0.473]);
});

test("a turned box comes onto a guide with its middle", () => {
  // Its sides, were they not turned, would be drawn to the thirds.
  const values = valuesAfterDrag(item({ left: 0.3, top: 0.3, right: 0.65, bottom: 0.65, angle: 20 }), "move", 0.02, 0.02, snapper([]));
  near(sides(values), [0.325, 0.325, 0.675, 0.675]);
});

test("an outline comes onto a guide with its middle", () => {
  const outline = item({ shift_x: 0, shift_y: 0, scale: 1, angle: 0 }, { kind: "shift" });
  const { shift_x, shift_y } = valuesAfterDrag(outline, "move", 0.16, 0.088, snapper([]));
  near([shift_x, shift_y], [0.1667, 0.09]);
});

test("numbers are short", () => {
  assert.equal(rounded(0.1 + 0.2), 0.3);
  assert.equal(rounded(1 / 3), 0.3333);
});
