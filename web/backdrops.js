// @ts-check
/** The image below an editor: the nearest one that its own guided sampler leads to. */
import { downstream } from "./downstream_data.js";
import { api, app, fileAddress, idOf, ownerOf, widgetOf, workflowKey } from "./host.js";
import { sourceOf } from "./sources.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */
/** @typedef {{address: string, aspect: number}} Backdrop an image, and its width divided by its height */

/** @type {Backdrop} */
const NONE = { address: "", aspect: 1 };

/** Images by workflow and node, kept while another workflow is open. @type {Map<string, Backdrop>} */
const images = new Map();
/** What a sampler shows while it runs, in place of the last image. @type {Map<string, Backdrop & {prompt: string}>} */
const previews = new Map();

const news = new EventTarget();
/** Prompts that are over. @type {Set<string>} */
const ended = new Set();

/** @param {string} owner @param {string} id */
const keyOf = (owner, id) => `${owner}\n${id}`;

/** Asked again for every pair of editors, while the workflow stays as it is. @type {Map<ComfyNode, string[]>} */
const walked = new Map();

/** The nodes that a node leads to, the nearest first. @param {ComfyNode} node @returns {string[]} */
export function reached(node) {
  const known = walked.get(node);
  if (known) return known;
  if (!walked.size) queueMicrotask(() => walked.clear());
  const [graph, id] = [app.rootGraph ?? app.graph, idOf(node)];
  const ids = graph && id !== undefined ? downstream(graph, id) : [];
  walked.set(node, ids);
  return ids;
}

/** Images that are fed into nodes, by address; null while one is loading. @type {Map<string, Backdrop | null>} */
const fed = new Map();

/** @param {string} address */
function inputOf(address) {
  if (!fed.has(address)) {
    fed.set(address, null);
    load(address, (backdrop) => {
      fed.set(address, backdrop);
      news.dispatchEvent(new Event("image"));
    });
  }
  return fed.get(address);
}

/** The image that Load Image chooses; undefined for other nodes. @param {ComfyNode} node */
function chosenIn(node) {
  const file = widgetOf(node, "image")?.value;
  if (typeof file !== "string") return undefined;
  const path = file.replace(/ \[\w+\]$/, "").split("/");
  return inputOf(fileAddress({ filename: path.pop() ?? "", subfolder: path.join("/"), type: "input" }));
}

/** What a node has put out itself, or by one that reads it. @param {ComfyNode} node */
function putOutBy(node) {
  const [graph, id] = [app.rootGraph ?? app.graph, idOf(node)];
  const near = graph && id !== undefined ? [id, ...downstream(graph, id, 1)] : [];
  return near.map((one) => images.get(keyOf(workflowKey(), one))).find(Boolean);
}

/**
 * The image that is fed into a node, as far as it is known: by the node that is linked, or by what that one is made of.
 * @param {ComfyNode} node
 * @param {Set<ComfyNode>} seen
 * @returns {Backdrop | undefined}
 */
function fedInto(node, seen = new Set()) {
  seen.add(node);
  const linked = (node.inputs ?? []).filter(({ link, type }) => link != null && ["IMAGE", "MASK"].includes(type));
  // The input that is there for it comes first.
  const names = linked.map(({ name }) => name).sort((one, other) => Number(other === "image") - Number(one === "image"));
  for (const name of names) {
    const source = sourceOf(node, name);
    const found = source && !seen.has(source) && (chosenIn(source) ?? putOutBy(source) ?? fedInto(source, seen));
    if (found) return found;
  }
  return undefined;
}

/** The image below a node's editor: one that is fed into it, else that of its sampler. @param {ComfyNode} node @returns {Backdrop} */
export function backdropOf(node) {
  const input = fedInto(node);
  if (input) return input;
  const keys = reached(node).map((id) => keyOf(workflowKey(), id));
  const found = [previews, images].flatMap((kept) => keys.map((key) => kept.get(key))).find(Boolean);
  return found ?? NONE;
}

/** Whether two nodes lead to different samplers. @param {ComfyNode} one @param {ComfyNode} other */
export function areApart(one, other) {
  const [there, here] = [reached(one), new Set(reached(other))];
  return there.length > 0 && here.size > 0 && !there.some((id) => here.has(id));
}

/** @param {string} address @param {(backdrop: Backdrop) => void} loaded */
function load(address, loaded) {
  const image = new Image();
  image.onload = () => loaded({ address, aspect: image.naturalWidth / image.naturalHeight || 1 });
  image.src = address;
}

/** Let go of the previews of a prompt. @param {string} prompt */
function drop(prompt) {
  for (const [key, preview] of previews) {
    if (preview.prompt !== prompt) continue;
    URL.revokeObjectURL(preview.address);
    previews.delete(key);
  }
}

/** Keep what nodes put out, and tell when an image has changed. @param {() => void} changed */
export function watchImages(changed) {
  news.addEventListener("image", changed);
  api.addEventListener("executed", ({ detail }) => {
    const file = detail.output?.images?.[0];
    if (!file) return;
    const key = keyOf(ownerOf(detail.prompt_id), detail.node);
    load(fileAddress(file), (backdrop) => {
      images.set(key, backdrop);
      drop(detail.prompt_id);
      changed();
    });
  });
  api.addEventListener("b_preview_with_metadata", ({ detail }) => {
    const prompt = detail.jobId ?? detail.promptId ?? "";
    const key = keyOf(ownerOf(prompt), detail.nodeId);
    load(URL.createObjectURL(detail.blob), (backdrop) => {
      if (ended.has(prompt)) return URL.revokeObjectURL(backdrop.address);
      const before = previews.get(key);
      if (before) URL.revokeObjectURL(before.address);
      previews.set(key, { ...backdrop, prompt });
      changed();
    });
  });
  for (const name of /** @type {const} */ (["execution_success", "execution_error", "execution_interrupted"]))
    api.addEventListener(name, ({ detail }) => {
      ended.add(detail.prompt_id);
      drop(detail.prompt_id);
      changed();
    });
}
