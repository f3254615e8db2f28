// @ts-check
/** Boxes for labels of a guide network: a chip for each box, and a field that adds one. */
import { colorIndex } from "./colors.js";
import { arrowKeys, colorOf, html } from "./dom.js";
import { edited, onWidgets, t } from "./host.js";
import { labelsOf } from "./labels.js";
import { addPanel, refit } from "./panels.js";
import { Boxes } from "./place.js";
import { added } from "./place_data.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */

/** How many bars there have been: each list has a name of its own. */
let bars = 0;

class Bar {
  /** @param {Boxes} source */
  constructor(source) {
    this.source = source;
    this.height = 24;
    this.chips = html("div", { class: "eg-chips", role: "group", "aria-label": t("boxes.title", "boxes") });
    const said = t("boxes.add", "Add a box for a label");
    this.field = /** @type {HTMLInputElement} */ (
      html("input", { class: "eg-add", placeholder: said, "aria-label": said })
    );
    this.field.addEventListener("change", () => this.add());
    this.field.addEventListener("focus", () => this.offer());
    // The frontend takes keys as its own commands.
    this.field.addEventListener("keydown", (event) => event.stopPropagation());
    this.labels = html("datalist", { id: `eg-labels-${++bars}` });
    this.field.setAttribute("list", this.labels.id);
    this.element = html("div", { class: "eg-panel eg-words" }, this.chips, this.field, this.labels);
    addPanel(source.node, "box_labels", this.element, () => this.height);
    arrowKeys(this.chips);
    onWidgets(source.node, source.widgets, () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** Offer the labels of the network that is connected now. */
  async offer() {
    const labels = await labelsOf(this.source.node, "network");
    this.labels.replaceChildren(...labels.map((label) => html("option", { value: label })));
  }

  add() {
    const label = this.field.value.trim().replace(/[:\n]/g, " ");
    this.field.value = "";
    if (!label) return;
    const { boxes, chosen } = added(this.source.boxes, label);
    this.choose(chosen, boxes);
  }

  /** Choose the box of a chip; a second press takes it away. @param {number} index */
  press(index) {
    const { boxes, chosen } = this.source;
    if (index === chosen) this.choose(-1, boxes.filter((_, at) => at !== index));
    else this.choose(index, boxes);
  }

  /** @param {number} chosen @param {import("./place_data.js").Box[]} boxes */
  choose(chosen, boxes) {
    this.source.choose(chosen, boxes);
    edited();
  }

  draw() {
    const { boxes, chosen } = this.source;
    const chips = /** @type {HTMLElement[]} */ ([...this.chips.children]);
    for (const chip of chips.slice(boxes.length)) chip.remove();
    for (let index = chips.length; index < boxes.length; index++)
      this.chips.append(html("button", { type: "button", class: "eg-word", onclick: () => this.press(index) }));
    boxes.forEach(({ words }, index) => {
      const chip = /** @type {HTMLElement} */ (this.chips.children[index]);
      chip.textContent = words;
      chip.setAttribute("aria-pressed", String(index === chosen));
      chip.style.setProperty("--eg-word", colorOf(colorIndex(words)));
    });
    const height = this.chips.offsetHeight + this.field.offsetHeight + 4;
    if (Math.abs(height - this.height) < 2 || height <= 4) return;
    this.height = height;
    refit(this.source.node);
  }
}

/** @param {ComfyNode} node */
export function boxesOfLabels(node) {
  const boxes = new Boxes(node, "frame");
  new Bar(boxes);
  return boxes;
}
