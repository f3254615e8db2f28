// @ts-check
/** The viewer on Show Attention: maps by noise level, layer and word. */
import { mapsOf, viewOf } from "./attention_data.js";
import { chip, paint, readings, slider } from "./attention_view.js";
import { colorIndex } from "./colors.js";
import { arrowKeys, colorOf, html } from "./dom.js";
import { api, app, everyNode, fileAddress, ownerOf, t, workflowKey } from "./host.js";
import { addPanel, refit } from "./panels.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */
/** @typedef {import("./attention_data.js").File} File */
/** @typedef {import("./attention_data.js").Maps} Maps */
/** @typedef {import("./attention_data.js").View} View */

const NODE = "EGShowAttention";
/** Of the image, in CSS pixels; it is as high as wide, and gives way to more chips and sliders. */
const TALLEST = 320;
const LOWEST = 100;
/** Of a row of chips, three sliders and what is between. */
const CONTROLS = 98;
/** Pixels of the canvas for each one that it takes on a node at its natural size. */
const SHARPNESS = 2;

/** Maps by workflow and node, kept while another workflow is open. @type {Map<string, Maps>} */
const outputs = new Map();
/** @type {WeakMap<object, Viewer>} */
const viewers = new WeakMap();

/** A word's colour, the same as in every other widget. @param {string} word */
const wordColor = (word) => colorOf(colorIndex(word));

class Viewer {
  /** @param {ComfyNode} node */
  constructor(node) {
    this.node = node;
    this.height = TALLEST + CONTROLS;
    /** @type {Maps | undefined} */
    this.maps = undefined;
    /** @type {View | undefined} */
    this.view = undefined;
    /** What stands in place of the maps. @type {HTMLElement | undefined} */
    this.empty = undefined;
    /** @type {{file?: HTMLImageElement, image?: HTMLImageElement}} */
    this.images = {};
    this.canvas = /** @type {HTMLCanvasElement} */ (html("canvas", { class: "eg-maps", role: "img" }));
    this.element = html("div", { class: "eg-panel eg-attention" });
    addPanel(node, "attention_viewer", this.element, () => this.height, true);
    new ResizeObserver(() => this.fit()).observe(this.element);
    this.build();
  }

  /** @param {Maps | undefined} maps */
  show(maps) {
    if (maps === this.maps) return;
    this.maps = maps;
    this.view = maps && viewOf(maps, this.view);
    this.build();
    this.load();
  }

  build() {
    const { maps, view } = this;
    if (!maps || !view) {
      this.empty = html("div", { class: "eg-empty eg-maps" }, t("attention.empty", "Maps appear after a run."));
      this.element.replaceChildren(this.empty);
      return this.fit();
    }
    const words = maps.words.map((word, index) => chip(word, view.words[index], wordColor(word), () => this.toggle(index)));
    this.chips = html("div", { class: "eg-chips", role: "group", "aria-label": t("attention.words", "words to show") }, ...words);
    arrowKeys(this.chips);
    this.empty = undefined;
    this.element.replaceChildren(this.canvas, this.chips, ...this.sliders(maps, view));
    this.draw();
  }

  /** @param {Maps} maps @param {View} view */
  sliders(maps, view) {
    const one = (/** @type {"image" | "step" | "layer"} */ name, /** @type {string} */ title, /** @type {number} */ max) =>
      slider(name, title, { max, step: 1, value: view[name] }, (value) => this.set({ [name]: value }));
    const percent = { max: 100, step: 5, value: 100 * view.opacity };
    return [
      ...(maps.maps.length > 1 ? [one("image", t("attention.image", "image"), maps.maps.length - 1)] : []),
      one("step", t("attention.step", "step"), maps.sigmas.length - 1),
      one("layer", t("attention.layer", "layer"), maps.layers.length),
      slider("opacity", t("attention.opacity", "opacity"), percent, (value) => this.set({ opacity: value / 100 })),
    ];
  }

  /** @param {Partial<View>} change */
  set(change) {
    if (!this.view) return;
    this.view = { ...this.view, ...change };
    if (change.image === undefined) this.draw();
    else this.load();
  }

  /** @param {number} index of a word */
  toggle(index) {
    this.set({ words: (this.view?.words ?? []).map((on, at) => (at === index ? !on : on)) });
  }

  /** Fetch the files of the image that is shown. */
  async load() {
    const { maps, view } = this;
    if (!maps || !view) return;
    const at = (/** @type {File[]} */ files) => fetched(files[Math.min(view.image, files.length - 1)]);
    const [file, image] = await Promise.all([at(maps.maps), at(maps.below)]);
    if (this.maps !== maps || this.view?.image !== view.image) return;
    this.images = { file, image };
    this.draw();
  }

  draw() {
    const { maps, view } = this;
    if (!maps || !view) return;
    const said = readings(maps, view, t);
    for (const output of this.element.querySelectorAll("output"))
      output.textContent = said[/** @type {keyof typeof said} */ (output.dataset.reading)];
    [...(this.chips?.children ?? [])].forEach((one, index) => one.setAttribute("aria-pressed", String(view.words[index])));
    const shown = maps.words.filter((_, index) => view.words[index]);
    this.canvas.setAttribute("aria-label", t("attention.alt", "attention to {words}", { words: shown.join(", ") || "–" }));
    this.fit();
    const { file, image } = this.images;
    if (file) paint(this.canvas, maps, view, file, image ?? null, (word) => this.rgb(wordColor(word)));
  }

  /** @param {string} color as written in a style sheet @returns {[number, number, number]} */
  rgb(color) {
    this.canvas.style.color = color;
    const [red, green, blue] = getComputedStyle(this.canvas).color.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0];
    return [red, green, blue];
  }

  /** The height of the panel is that of its width alone, so that no run moves the nodes around. */
  fit() {
    const wide = Math.max(this.element.clientWidth, 120);
    const whole = Math.min(wide, TALLEST) + CONTROLS;
    if (Math.abs(whole - this.height) >= 2) {
      this.height = whole;
      refit(this.node);
    }
    if (this.empty) this.empty.style.height = `${whole - 6}px`;
    const others = [...this.element.children].filter((one) => one !== this.canvas);
    const taken = others.reduce((sum, one) => sum + /** @type {HTMLElement} */ (one).offsetHeight, 10);
    this.shape(wide, Math.max(whole - taken, LOWEST));
  }

  /** Give the canvas the shape of what is drawn, as large as it fits. @param {number} wide @param {number} tall */
  shape(wide, tall) {
    const below = this.images.image;
    const [height, width] = below ? [below.naturalHeight, below.naturalWidth] : (this.maps?.tile ?? [1, 1]);
    const scale = Math.min(wide / width, tall / height);
    const size = { width: Math.round(SHARPNESS * scale * width), height: Math.round(SHARPNESS * scale * height) };
    if (size.width === this.canvas.width && size.height === this.canvas.height) return;
    Object.assign(this.canvas, size);
    Object.assign(this.canvas.style, { width: `${size.width / SHARPNESS}px`, height: `${size.height / SHARPNESS}px` });
    if (this.maps) this.draw();
  }
}

/**
 * @param {File | undefined} file
 * @returns {Promise<HTMLImageElement | undefined>} undefined where there is no file, or it has been deleted
 */
async function fetched(file) {
  if (!file) return undefined;
  const image = new Image();
  image.src = fileAddress(file);
  return image.decode().then(
    () => image,
    () => undefined,
  );
}

function refresh() {
  for (const [id, node] of everyNode()) viewers.get(node)?.show(outputs.get(`${workflowKey()}\n${id}`));
}

/** @param {CustomEvent<import("../../scripts/api.js").Events["executed"]>} event */
function executed({ detail }) {
  const maps = mapsOf(detail.output);
  if (!maps) return;
  outputs.set(`${ownerOf(detail.prompt_id)}\n${detail.node}`, maps);
  refresh();
}

app.registerExtension({
  name: "EnergyGuidance.Attention",
  setup: () => api.addEventListener("executed", executed),
  nodeCreated(node) {
    if (node.comfyClass === NODE) viewers.set(node, new Viewer(node));
  },
  afterConfigureGraph: refresh,
});
