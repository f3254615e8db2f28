// @ts-check
/** Boxes, points and outlines to drag over the picture. Their values are the nodes' plain numbers. */
import { html } from "./dom.js";
import { addPanel, api, app, edited, everyNode, onWidgets, refit, setWidgets, t, widgetOf } from "./host.js";
import { GRID, HANDLES, NODES, dragged, anchor, hit, snapper, spun } from "./layout_data.js";
import { drawn, placed } from "./layout_view.js";
import { colorIndex, phrases } from "./words_data.js";

/** @typedef {import("./layout_data.js").Item} Item */
/** @typedef {import("./layout_data.js").Snap} Snap */

/** Pixels within which a handle is meant. */
const REACH = 10;
const TALLEST = 320;
/** Milliseconds after the last change. */
const PAUSE = 150;

/** Nodes that put out pictures that are no pictures. */
const DIAGRAMS = ["EGPlotTrace", "EGShowAttention"];

/** The latest picture of any run, to lay things out on. */
const backdrop = { address: "", aspect: 1 };

/** @type {WeakMap<object, Editor>} */
const editors = new WeakMap();

class Editor {
  /** @param {any} node */
  constructor(node) {
    this.node = node;
    this.kind = NODES[node.comfyClass];
    this.height = 200;
    this.waiting = false;
    /**
     * What is dragged, from where in the window, how large the picture is there, and what it snaps to.
     * @type {{handle: string, item: Item, x: number, y: number, box: DOMRect, snap: Snap} | null}
     */
    this.held = null;
    this.stage = html("div", { class: "eg-stage", title: this.help() });
    this.element = html("div", { class: "eg-panel eg-layout" }, this.stage);
    addPanel(node, "layout_editor", this.element, () => this.height);
    onWidgets(node, this.kind.widgets, () => this.changed());
    this.stage.addEventListener("pointerdown", (event) => this.down(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    this.stage.addEventListener("pointerup", () => this.up());
    // Also where the frontend hides the node under the pointer.
    this.stage.addEventListener("lostpointercapture", () => this.up());
    this.stage.addEventListener("mousedown", (event) => event.preventDefault());
    this.stage.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** Draw once in the next frame, however many numbers have changed; the others when it is over. */
  changed() {
    drawAllSoon();
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      if (this.held) this.follow();
      else this.draw();
    });
  }

  /** Bring what is dragged to its numbers; the rest of the picture stays. */
  follow() {
    const { width, height } = this.size;
    const own = this.stage.querySelector(".eg-own");
    if (own) placed(own, this.item(true), width, height);
  }

  help() {
    return t(
      "layout.help",
      "Drag to move, drag a corner to resize, the dot on the upper edge to turn; Alt moves freely, without snapping. Arrow keys move by 0.01 or 1°, with Shift by ten times that.",
    );
  }

  /** Width and height of the picture on the node: as wide as that, unless it were too tall then. */
  get size() {
    const wide = Math.min(Math.max(this.element.clientWidth, 120), TALLEST * backdrop.aspect);
    return { width: Math.round(wide), height: Math.round(wide / backdrop.aspect) };
  }

  /** What the node's numbers and words say. @param {boolean} own @returns {Item} */
  item(own) {
    const number = (/** @type {string} */ name) => Number(widgetOf(this.node, name)?.value) || 0;
    const values = Object.fromEntries(this.kind.widgets.map((name) => [name, number(name)]));
    const words = wordsOf(this.node);
    const look = { label: words.join(", "), color: colorIndex(words[0] ?? "") };
    return { kind: this.kind.kind, values, ...look, own, aspect: backdrop.aspect };
  }

  others() {
    const nodes = this.node.graph?.nodes ?? [];
    const all = nodes.map((/** @type {any} */ node) => editors.get(node)).filter(Boolean);
    return /** @type {Editor[]} */ (all).filter((one) => one !== this).map((one) => one.item(false));
  }

  draw() {
    const { width, height } = this.size;
    const name = t("layout.title", "layout");
    const picture = connected(this.node) || backdrop.address;
    const focused = this.stage.querySelector(":focus")?.getAttribute("data-handle");
    this.stage.replaceChildren(drawn([...this.others(), this.item(true)], picture, width, height, name));
    this.stage.style.width = `${width}px`;
    if (focused) this.focus(focused);
    if (Math.abs(height - this.height) < 2) return;
    this.height = height;
    refit(this.node);
  }

  /** @param {PointerEvent} event @returns {[number, number]} in parts of the picture */
  place(event) {
    const box = this.stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (event.button !== 0) return;
    const [x, y] = this.place(event);
    const { width, height } = this.size;
    const near = (/** @type {number} */ px, /** @type {number} */ py, /** @type {[number, number]} */ at) =>
      Math.hypot((px - at[0]) * width, (py - at[1]) * height) <= REACH;
    const item = this.item(true);
    const handle = hit(item, x, y, near);
    if (!handle) return;
    this.stage.setPointerCapture(event.pointerId);
    const box = this.stage.getBoundingClientRect();
    this.held = { handle, item, x: event.clientX, y: event.clientY, box, snap: snapper(this.others()) };
    this.focus(handle);
    const at = anchor(item, "move");
    if (item.kind !== "point" || near(x, y, at)) return;
    // A point comes to where the picture is pressed.
    this.held.x -= (x - at[0]) * box.width;
    this.held.y -= (y - at[1]) * box.height;
    this.move(event);
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (!this.held) return;
    const { handle, item, x, y, box, snap } = this.held;
    // By how far the pointer went: the node itself may move under it.
    const [dx, dy] = [(event.clientX - x) / box.width, (event.clientY - y) / box.height];
    setWidgets(this.node, dragged(item, handle, dx, dy, event.altKey ? freely : snap));
  }

  up() {
    if (this.held) edited();
    this.held = null;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const handle = /** @type {HTMLElement} */ (event.target).dataset?.handle ?? "";
    const size = event.shiftKey ? 10 * GRID : GRID;
    const ways = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-size, 0], ArrowRight: [size, 0], ArrowUp: [0, -size], ArrowDown: [0, size] });
    const way = ways[event.key];
    if (!way || !(handle in HANDLES[this.kind.kind])) return;
    const item = this.item(true);
    // A hundredth of the picture is a degree of a turn.
    const turn = spun(item, 100 * (way[0] + way[1]));
    this.write(handle === "turn" ? turn : dragged(item, handle, way[0], way[1], freely), handle);
    edited();
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {Record<string, number>} values @param {string} handle that has the focus */
  write(values, handle) {
    setWidgets(this.node, values);
    this.focus(handle);
  }

  /** @param {string} handle */
  focus(handle) {
    /** @type {SVGElement | null} */ (this.stage.querySelector(`[data-handle="${handle}"]`))?.focus({ preventScroll: true });
  }
}

/** Without snapping. @type {Snap} */
const freely = (axis, value) => value;

/** The words that a node is about, from the node that its tokens come from. @param {any} node */
function wordsOf(node) {
  const slot = node.inputs?.findIndex((/** @type {any} */ input) => input.name === "tokens") ?? -1;
  const source = slot < 0 ? null : node.getInputNode?.(slot);
  return phrases(String((source && widgetOf(source, "words")?.value) ?? ""));
}

/** The address of a picture that is loaded straight into a node, or "". @param {any} node */
function connected(node) {
  const slots = (node.inputs ?? []).map((/** @type {any} */ input, /** @type {number} */ slot) => ({ input, slot }));
  const found = slots.find((/** @type {any} */ { input }) => input.link != null && ["IMAGE", "MASK"].includes(input.type));
  const source = found && node.getInputNode?.(found.slot);
  const file = source && widgetOf(source, "image")?.value;
  if (typeof file !== "string") return "";
  const path = file.replace(/ \[\w+\]$/, "").split("/");
  const query = { filename: path.pop() ?? "", subfolder: path.join("/"), type: "input" };
  return api.apiURL(`/view?${new URLSearchParams(query)}`);
}

function drawAll() {
  for (const [, node] of everyNode()) editors.get(node)?.draw();
}

/** Each editor shows the boxes of all: while one is dragged, the others wait. */
const drawAllSoon = (() => {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(drawAll, PAUSE);
  };
})();

/** @param {string} address */
function lay(address) {
  const image = new Image();
  image.onload = () => {
    Object.assign(backdrop, { address, aspect: image.naturalWidth / image.naturalHeight || 1 });
    drawAll();
  };
  image.src = address;
}

/** @param {CustomEvent<{node: string, output?: {images?: {filename: string, subfolder: string, type: string}[]}}>} event */
function executed({ detail }) {
  const image = detail.output?.images?.[0];
  const source = [...everyNode()].find(([id]) => id === detail.node)?.[1];
  if (image && !DIAGRAMS.includes(source?.comfyClass)) lay(api.apiURL(`/view?${new URLSearchParams(image)}`));
}

app.registerExtension({
  name: "EnergyGuidance.Layout",
  setup() {
    api.addEventListener("b_preview", (/** @type {CustomEvent<Blob>} */ { detail }) => lay(URL.createObjectURL(detail)));
    api.addEventListener("executed", executed);
  },
  nodeCreated(/** @type {any} */ node) {
    const kind = NODES[node.comfyClass];
    if (kind && kind.widgets.every((name) => widgetOf(node, name))) editors.set(node, new Editor(node));
  },
  afterConfigureGraph: drawAll,
});
