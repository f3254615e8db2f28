// @ts-check
/** What the pack asks of ComfyUI's frontend, all of it in one place. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

/** @typedef {import("../../scripts/app.js").ComfyNode} ComfyNode */
/** @typedef {import("../../scripts/app.js").ComfyWidget} ComfyWidget */
/** @typedef {import("../../scripts/api.js").OutputFile} OutputFile */
/** @typedef {(key: string, english: string, values?: Record<string, string | number>) => string} Translate */

export { api, app };

/** Folder of this pack's own routes on the server. */
const ROUTES = "/energy_guidance";

for (const name of ["style.css", "style_plots.css"]) {
  const { href } = new URL(`./${name}`, import.meta.url);
  document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
}

/**
 * A message, or messages by the next part of their name.
 * @typedef {string | {[name: string]: Messages}} Messages
 * @typedef {Record<string, {energyGuidance?: Messages}>} Languages
 */

/** Translations by language. @type {Languages} */
let languages = {};

/** Fetch the translations once; without them everything is English. */
export const translated = api
  .fetchApi("/i18n")
  .then((response) => response.json())
  .then((/** @type {Languages} */ all) => {
    languages = all;
  })
  .catch(() => {});

/**
 * A message in the user's language, with {name} filled in.
 * @param {string} key dotted name in locales/<language>/main.json, under energyGuidance
 * @param {string} english
 * @param {Record<string, string | number>} values
 */
export function t(key, english, values = {}) {
  const messages = languages[String(setting("Comfy.Locale", "en"))]?.energyGuidance;
  const found = key.split(".").reduce((part, name) => (typeof part === "object" ? part[name] : undefined), messages);
  const text = typeof found === "string" ? found : english;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * The value of a setting.
 * @param {string} id
 * @param {unknown} fallback
 */
export function setting(id, fallback) {
  return app.extensionManager?.setting?.get(id) ?? fallback;
}

/**
 * POST JSON to one of the pack's routes.
 * @param {string} route
 * @param {object} body
 * @returns {Promise<any>} the answer; an Error with the server's message where it refused
 */
export async function post(route, body) {
  const response = await api.fetchApi(`${ROUTES}/${route}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw Object.assign(new Error(await response.text()), { status: response.status });
  return response.json();
}

/** Where to fetch a file that a node has put out or was given. @param {OutputFile} file */
export const fileAddress = ({ filename, subfolder, type }) =>
  api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);

/**
 * Every node of the open workflow with the id that the server knows it by, subgraphs included.
 * @returns {Generator<[string, ComfyNode]>}
 */
export function* everyNode(graph = app.rootGraph ?? app.graph, prefix = "") {
  for (const node of graph?.nodes ?? []) {
    yield [`${prefix}${node.id}`, node];
    if (node.subgraph) yield* everyNode(node.subgraph, `${prefix}${node.id}:`);
  }
}

/** The id that the server knows a node by. @param {ComfyNode} node @returns {string | undefined} */
export const idOf = (node) => [...everyNode()].find(([, one]) => one === node)?.[0];

/** A name of the open workflow, to keep what was drawn while another one is open. */
export function workflowKey() {
  return String(app.extensionManager?.workflow?.activeWorkflow?.path ?? "");
}

/** The workflow of each prompt. @type {Map<string, string>} */
const owners = new Map();

// No event says which prompt came of which workflow: by the time it runs, another one may be open.
const queue = api.queuePrompt;
api.queuePrompt = async function (...request) {
  const owner = workflowKey();
  const answer = await queue.apply(this, request);
  if (answer?.prompt_id) owners.set(answer.prompt_id, owner);
  return answer;
};

/** The workflow that was open when a prompt was queued. @param {string} prompt */
export const ownerOf = (prompt) => owners.get(prompt) ?? workflowKey();

/**
 * A widget of a node by name.
 * @param {ComfyNode} node
 * @param {string} name
 */
export function widgetOf(node, name) {
  return node.widgets?.find((widget) => widget.name === name);
}

/**
 * Call `changed` after the user, a workflow or another script has set one of these widgets.
 * @param {ComfyNode} node
 * @param {string[]} names
 * @param {() => void} changed
 */
export function onWidgets(node, names, changed) {
  for (const name of names) {
    const widget = widgetOf(node, name);
    if (!widget) continue;
    const before = widget.callback;
    widget.callback = function (...values) {
      const result = before?.apply(this, values);
      changed();
      return result;
    };
  }
}

/**
 * Set widgets as the user would.
 * @param {ComfyNode} node
 * @param {Record<string, unknown>} values
 */
export function setWidgets(node, values) {
  for (const [name, value] of Object.entries(values)) {
    const widget = widgetOf(node, name);
    if (!widget || widget.value === value) continue;
    widget.value = value;
    widget.callback?.(value, app.canvas, node);
  }
  // Links and the grid stay as they are.
  node.graph?.setDirtyCanvas?.(true, false);
}

/** Let the frontend note a finished edit, so that its undo takes back this one and no more. */
export function edited() {
  const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
  (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker);
}
