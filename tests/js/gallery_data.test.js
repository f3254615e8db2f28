import assert from "node:assert/strict";
import { test } from "node:test";
import { inOrder } from "../../web/gallery_data.js";

test("templates of the pack are sorted, and those of others left alone", () => {
  const all = { pack: ["10 b", "02 a", "01 c"], other: ["b", "a"] };
  assert.deepEqual(inOrder(all, "pack"), { pack: ["01 c", "02 a", "10 b"], other: ["b", "a"] });
  assert.deepEqual(all.pack, ["10 b", "02 a", "01 c"]);
  assert.equal(inOrder(all, "missing"), all);
});
