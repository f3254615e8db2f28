// @ts-check
/** What a node has found in its last run, as lines of text in a place that is kept free for them. */
import { html } from "./dom.js";
import { api, app, everyNode, ownerOf, t, workflowKey } from "./host.js";
import { addPanel } from "./panels.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */

const EVENT = "energy_guidance.note";
const NODES = [
  "EGTokens", "EGRecordReference", "EGInvert", "EGFixMissingObjects", "EGHSpaceDirection", "EGInitialNoise",
  "EGNullText",
];
/** Of three lines, in CSS pixels. */
const HEIGHT = 50;

/** Texts by workflow and node, kept while another workflow is open. @type {Map<string, string>} */
const texts = new Map();
/** @type {WeakMap<object, HTMLElement>} */
const panels = new WeakMap();

function refresh() {
  for (const [id, node] of everyNode()) {
    const panel = panels.get(node);
    const text = texts.get(`${workflowKey()}\n${id}`);
    panel?.classList.toggle("eg-faint", !text);
    if (panel) panel.textContent = text || t("note.empty", "What was found stands here after a run.");
  }
}

/** @param {CustomEvent<{node: string, prompt_id: string, text: string}>} event */
function received({ detail }) {
  texts.set(`${ownerOf(detail.prompt_id)}\n${detail.node}`, detail.text);
  refresh();
}

app.registerExtension({
  name: "EnergyGuidance.Note",
  setup: () => api.addEventListener(EVENT, received),
  nodeCreated(node) {
    if (!NODES.includes(node.comfyClass ?? "")) return;
    const panel = html("div", { class: "eg-panel eg-said eg-faint", role: "status" });
    panels.set(node, panel);
    addPanel(node, "said", panel, () => HEIGHT);
    panel.textContent = t("note.empty", "What was found stands here after a run.");
  },
  afterConfigureGraph: refresh,
});
