// @ts-check
/** The labels that the connected network has, to choose from. The choice is the node's plain text. */
import { html } from "./dom.js";
import { app, edited, everyNode, onWidgets, post, setWidgets, t, widgetOf } from "./host.js";
import { addPanel } from "./panels.js";
import { onLinks, sourceOf } from "./sources.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */

/** The widget of a label, and the input of the network that has it. */
const NODES = /** @type {Record<string, {widget: string, input: string}>} */ ({
  EGEnergyClassifier: { widget: "label", input: "network" },
  EGEnergyNoisyClassifier: { widget: "label", input: "network" },
  EGEnergySegmentation: { widget: "label", input: "network" },
  EGEnergyFaceIdentity: { widget: "detector_label", input: "detector" },
});
const LOADER = /^EGLoad(Classifier|Detector|NoisyClassifier|Segmenter)$/;
const HEIGHT = 26;

/** What the server said of a loader's file. @type {Map<string, Promise<string[]>>} */
const answers = new Map();

/**
 * The labels of the network that is linked to an input; none where they are not known.
 * @param {ComfyNode} node
 * @param {string} input
 * @returns {Promise<string[]>}
 */
export async function labelsOf(node, input) {
  const source = sourceOf(node, input);
  const loader = source?.comfyClass ?? "";
  if (!source || !LOADER.test(loader)) return [];
  const [file, architecture] = ["file", "architecture"].map((name) => String(widgetOf(source, name)?.value ?? ""));
  const key = [loader, file, architecture].join("\n");
  const asked = answers.get(key) ?? post("labels", { loader, file, architecture }).then(({ labels }) => labels);
  answers.set(key, asked);
  return asked.catch(() => {
    // The loader may be given the file later on.
    answers.delete(key);
    return [];
  });
}

/** @type {WeakMap<object, Choice>} */
const choices = new WeakMap();

class Choice {
  /** @param {ComfyNode} node @param {string} widget @param {string} input */
  constructor(node, widget, input) {
    this.node = node;
    this.widget = widget;
    this.input = input;
    /** @type {string[]} */
    this.labels = [];
    this.list = /** @type {HTMLSelectElement} */ (html("select", { class: "eg-labels", "aria-label": t("labels.title", "labels of the network") }));
    this.list.addEventListener("change", () => this.choose());
    // The file behind the network may have been changed.
    this.list.addEventListener("focus", () => this.ask());
    addPanel(node, "label_choice", html("div", { class: "eg-panel" }, this.list), () => HEIGHT);
    onWidgets(node, [widget], () => this.draw());
    choices.set(node, this);
    this.draw();
    this.ask();
  }

  get value() {
    return String(widgetOf(this.node, this.widget)?.value ?? "").trim();
  }

  async ask() {
    const labels = await labelsOf(this.node, this.input);
    if (labels.join("\n") === this.labels.join("\n")) return;
    this.labels = labels;
    this.draw();
  }

  draw() {
    const { value, labels } = this;
    const known = labels.includes(value);
    const options = labels.map((label) => html("option", { value: label }, label));
    if (!known) options.unshift(html("option", { value: "", disabled: true }, this.said(value)));
    this.list.replaceChildren(...options);
    this.list.selectedIndex = known ? labels.indexOf(value) : 0;
    this.list.disabled = !labels.length;
    this.list.setAttribute("aria-invalid", String(Boolean(labels.length && value && !known)));
  }

  /** What stands there in place of a label that is chosen. @param {string} value */
  said(value) {
    if (!this.labels.length) return t("labels.none", "Connect a network to see its labels.");
    return value ? t("labels.unknown", "{label}: not a label of this network", { label: value }) : t("labels.choose", "Choose a label");
  }

  choose() {
    setWidgets(this.node, { [this.widget]: this.list.value });
    edited();
  }
}

function askAll() {
  for (const [, node] of everyNode()) choices.get(node)?.ask();
}

app.registerExtension({
  name: "EnergyGuidance.Labels",
  nodeCreated(node) {
    const place = NODES[node.comfyClass ?? ""];
    if (place) new Choice(node, place.widget, place.input);
    if (place) onLinks(node, askAll);
    if (LOADER.test(node.comfyClass ?? "")) onWidgets(node, ["file", "architecture"], askAll);
  },
  afterConfigureGraph: askAll,
});
