import assert from "node:assert/strict";
import test from "node:test";
import { downstream } from "../../web/downstream_data.js";

/** A graph from links, each [from, output, to, input, type]. */
function graph(nodes, links, more = {}) {
  const made = { nodes: nodes.map((node) => (typeof node === "object" ? node : { id: node })), links: new Map(), ...more };
  for (const node of made.nodes) node.outputs = [0, 1].map(() => ({ links: [] }));
  links.forEach(([from, output, to, input, type = "MODEL"], index) => {
    made.links.set(index, { type, target_id: to, target_slot: input });
    const source = made.nodes.find(({ id }) => id === from);
    if (source) source.outputs[output].links.push(index);
    else made.inputNode.slots[output].linkIds.push(index);
  });
  return made;
}

test("the nearest come first, and each once", () => {
  const links = [[1, 0, 2, 0], [1, 1, 3, 0], [2, 0, 4, 0], [3, 0, 4, 1], [4, 0, 5, 0]];
  assert.deepEqual(downstream(graph([1, 2, 3, 4, 5, 6], links), "1"), ["2", "3", "4", "5"]);
  assert.deepEqual(downstream(graph([1, 2, 3, 4, 5, 6], links), "1", 1), ["2", "3"]);
});

test("prompts, traces and recordings lead to no image of the guided sampler", () => {
  const links = [[1, 0, 2, 0, "CONDITIONING"], [1, 1, 3, 0, "GUIDANCE_TRACE"], [1, 1, 4, 0, "GUIDANCE_REFERENCE"]];
  assert.deepEqual(downstream(graph([1, 2, 3, 4], links), "1"), []);
});

test("circles end, and what is not there leads nowhere", () => {
  const round = graph([1, 2], [[1, 0, 2, 0], [2, 0, 1, 0], [2, 1, 9, 0]]);
  assert.deepEqual(downstream(round, "1"), ["2"]);
  for (const id of ["3", "1:2", ""]) assert.deepEqual(downstream(round, id), []);
});

test("links as the older frontends keep them", () => {
  const old = graph([1, 2], [[1, 0, 2, 0]]);
  assert.deepEqual(downstream({ ...old, links: Object.fromEntries(old.links) }, "1"), ["2"]);
});

test("a subgraph is entered and left by its own slots, and its nodes have the server's ids", () => {
  const border = { inputNode: { id: -10, slots: [{ linkIds: [] }, { linkIds: [] }] }, outputNode: { id: -20 } };
  const within = graph([1, 2, 3], [[-10, 1, 1, 0], [-10, 0, 2, 0], [1, 0, 3, 0], [1, 1, -20, 1]], border);
  const outer = graph([1, { id: 7, subgraph: within }, 8, 9], [[1, 0, 7, 1], [7, 0, 8, 0], [7, 1, 9, 0]]);
  assert.deepEqual(downstream(outer, "1"), ["7:1", "7:3", "9"]);
  assert.deepEqual(downstream(outer, "7:1"), ["7:3", "9"]);
  assert.deepEqual(downstream(outer, "7:2"), []);
});
