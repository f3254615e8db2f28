// @ts-check
/** How far each object was from its point in the last guided step, as attention shows it. */
import { reached } from "./backdrops.js";
import { distanceIn } from "./distances_data.js";
import { api, ownerOf, workflowKey } from "./host.js";

/** @typedef {import("./distances_data.js").Row} Row */

/** The last row of each term, by workflow and node that samples. @type {Map<string, Map<string, Row>>} */
const kept = new Map();

/**
 * The distance of a position's words from its point, and what tells its run from others.
 * @param {import("./host.js").ComfyNode} node
 * @param {string} words
 * @returns {{distance: number, run: object} | undefined} a fraction of the image; undefined where none is known
 */
export function distanceOf(node, words) {
  for (const id of reached(node)) {
    const run = kept.get(`${workflowKey()}\n${id}`);
    const distance = distanceIn([...(run?.values() ?? [])], words);
    if (run && distance !== undefined) return { distance, run };
  }
  return undefined;
}

/** Keep what runs report, and tell when one is over. @param {() => void} changed */
export function watchDistances(changed) {
  api.addEventListener("energy_guidance.monitor", ({ detail }) => {
    const key = `${ownerOf(detail.prompt_id)}\n${detail.node}`;
    const run = (detail.sigmas ? undefined : kept.get(key)) ?? new Map();
    kept.set(key, run);
    for (const row of detail.rows) for (const term of Object.keys(row.terms)) run.set(term, row);
    if (detail.done) changed();
  });
}
