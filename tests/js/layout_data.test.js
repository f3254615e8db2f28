/** Places, handles and turns of boxes, points and outlines, against guidance_core and by hand. */
import assert from "node:assert/strict";
import test from "node:test";
import { HANDLES, NODES, handlePosition, outerRect, handleAt, rect } from "../../web/layout_data.js";
import { near, truth } from "./truth.js";

const far = () => false;
const BOX = { left: 0.2, top: 0.3, right: 0.7, bottom: 0.5 };
// Boxes, their angles, and images of several shapes: a cell is one unit wide and high.
const TURNED = [
  [BOX, 0, 60, 60],
  [BOX, 30, 60, 60],
  [BOX, -75, 60, 90],
  [{ left: 0.35, top: 0.05, right: 0.45, bottom: 0.95 }, 145, 80, 50],
  [{ left: 0, top: 0, right: 1, bottom: 1 }, 10, 40, 70],
];
const COVERED = truth(...TURNED.map(([box, angle, height, width]) => ["covered", Object.values(box), angle, height, width]));

const item = (values, more = {}) => ({ kind: "box", values, label: "", color: 0, own: true, aspect: 1, ...more });

TURNED.forEach(([box, angle, height, width], index) => {
  test(`a press on box ${index}, turned by ${angle}°, means what guidance_core covers`, () => {
    const turned = item({ ...box, angle }, { aspect: width / height });
    const wrong = [];
    COVERED[index].forEach((row, y) =>
      row.forEach((part, x) => {
        const pressed = handleAt(turned, (x + 0.5) / width, (y + 0.5) / height, far) === "move";
        if ((part > 0.999 && !pressed) || (part < 0.001 && pressed)) wrong.push([x, y, part]);
      }),
    );
    assert.deepEqual(wrong, []);
    assert.ok(COVERED[index].flat().some((part) => part > 0.999));
  });

  test(`corners of box ${index}, turned by ${angle}°, lie at the edge of what guidance_core covers`, () => {
    const turned = item({ ...box, angle }, { aspect: width / height });
    const [cx, cy] = handlePosition(turned, "move");
    for (const corner of ["nw", "ne", "sw", "se"]) {
      const [x, y] = handlePosition(turned, corner);
      if (Math.min(x, y) < 0 || Math.max(x, y) > 1) continue; // outside the image nothing is covered
      const at = (stretch) => COVERED[index][Math.floor((cy + stretch * (y - cy)) * height)]?.[Math.floor((cx + stretch * (x - cx)) * width)];
      assert.ok(at(0.85) > 0.4, `${corner} inwards`);
      assert.ok(!(at(1.15) > 0.1), `${corner} outwards`);
    }
  });
});

test("a quarter turn brings each corner to the next, clockwise", () => {
  const turned = item({ left: 0.4, top: 0.3, right: 0.6, bottom: 0.7, angle: 90 });
  near(handlePosition(turned, "nw"), [0.7, 0.4]);
  near(handlePosition(turned, "ne"), [0.7, 0.6]);
  near(handlePosition(turned, "se"), [0.3, 0.6]);
  near(handlePosition(turned, "sw"), [0.3, 0.4]);
  near(handlePosition(turned, "turn"), [0.7, 0.5]);
  near(handlePosition(turned, "move"), [0.5, 0.5]);
});

test("a turn keeps lengths in pixels, not in fractions of a wide image", () => {
  // Twice as wide as high: 0.2 of the width are 0.4 of the height.
  const turned = item({ left: 0.4, top: 0.3, right: 0.6, bottom: 0.7, angle: 90 }, { aspect: 2 });
  near(handlePosition(turned, "ne"), [0.6, 0.7]);
  const { left, top, right, bottom } = outerRect(turned);
  near([left, top, right, bottom], [0.4, 0.3, 0.6, 0.7]);
});

test("bounds are those of the turned corners", () => {
  const half = Math.SQRT1_2 * 0.2;
  const { left, top, right, bottom } = outerRect(item({ left: 0.4, top: 0.4, right: 0.6, bottom: 0.6, angle: 45 }));
  near([left, top, right, bottom], [0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half]);
});

test("a point and a moved outline cover what their numbers say", () => {
  assert.deepEqual(rect(item({ x: 0.2, y: 0.9 }, { kind: "point" })), { left: 0.2, right: 0.2, top: 0.9, bottom: 0.9 });
  const { left, top, right, bottom } = rect(item({ shift_x: 0.1, shift_y: -0.2, scale: 2, angle: 0 }, { kind: "shift" }));
  near([left, top, right, bottom], [0.1, -0.2, 1.1, 0.8]);
});

test("a press near a handle means the handle, inside the box the box, elsewhere nothing", () => {
  const close = (x, y, [ax, ay]) => Math.hypot(x - ax, y - ay) < 0.03;
  const box = item(BOX);
  assert.equal(handleAt(box, 0.21, 0.31, close), "nw");
  assert.equal(handleAt(box, 0.69, 0.49, close), "se");
  assert.equal(handleAt(box, 0.71, 0.29, close), "ne");
  assert.equal(handleAt(box, 0.19, 0.51, close), "sw");
  assert.equal(handleAt(box, 0.45, 0.31, close), "turn");
  assert.equal(handleAt(box, 0.45, 0.4, close), "move");
  assert.equal(handleAt(box, 0.1, 0.4, close), "");
  assert.equal(handleAt(box, 0.45, 0.6, close), "");
  // A point comes to wherever the image is pressed.
  assert.equal(handleAt(item({ x: 0.5, y: 0.5 }, { kind: "point" }), 0.01, 0.99, close), "move");
});

test("every kind of node has handles, and its rect follows from its widgets", () => {
  for (const { kind, widgets } of Object.values(NODES)) {
    const values = Object.fromEntries(widgets.map((name) => [name, 0.25]));
    assert.ok("move" in HANDLES[kind]);
    assert.ok(Object.values(rect(item(values, { kind }))).every(Number.isFinite));
    for (const handle of Object.keys(HANDLES[kind])) assert.ok(handlePosition(item(values, { kind }), handle).every(Number.isFinite));
  }
});
