// @ts-check
/** The editor on one node: what is dragged, and the numbers that it sets. */
import { areApart, backdropOf } from "./backdrops.js";
import { arrowStep, focusHandle, html, listenForDrags } from "./dom.js";
import { edited, onWidgets, t } from "./host.js";
import { GRID, HANDLES, handlePosition, handleAt } from "./layout_data.js";
import { valuesAfterDrag, snapper, turnedBy } from "./layout_drag_data.js";
import { layoutPlot, moveTo } from "./layout_view.js";
import { addPanel, refit } from "./panels.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */
/** @typedef {import("./layout_data.js").Item} Item */
/** @typedef {import("./layout_drag_data.js").Snap} Snap */
/**
 * What the editors of a workflow share.
 * @typedef {object} Shared
 * @property {(node: ComfyNode) => Editor | undefined} editorOf
 * @property {() => void} changed to be called when a node's numbers have changed
 */

/**
 * Where the items of an editor come from.
 * @typedef {object} Source
 * @property {string[]} widgets that hold them
 * @property {(aspect: number) => Item[]} items the node's own ones; the one that is dragged is last, and marked as own
 * @property {(values: Record<string, number>) => void} set the numbers of the one that is dragged
 * @property {(hits: (item: Item) => boolean) => void} [pick] let another one be dragged
 */

/** Pixels around a handle within which a press holds it. */
const REACH = 10;
const TALLEST = 320;

export class Editor {
  /** @param {ComfyNode} node @param {Shared} shared @param {Source} source */
  constructor(node, shared, source) {
    this.node = node;
    this.shared = shared;
    this.source = source;
    this.height = 200;
    this.waiting = false;
    this.backdrop = { address: "", aspect: 1 };
    /**
     * What is dragged, from which position of the pointer, the image's rectangle then, and what it snaps to.
     * @type {{handle: string, item: Item, x: number, y: number, box: DOMRect, snap: Snap} | null}
     */
    this.held = null;
    this.stage = html("div", { class: "eg-stage", title: this.help() });
    this.element = html("div", { class: "eg-panel eg-layout" }, this.stage);
    addPanel(node, "layout_editor", this.element, () => this.height);
    onWidgets(node, source.widgets, () => this.changed());
    listenForDrags(this.stage, {
      down: (event) => this.down(event),
      move: (event) => this.move(event),
      up: () => this.up(),
      key: (event) => this.key(event),
    });
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** Draw once in the next frame, however many numbers have changed, and the other editors after the last change. */
  changed() {
    this.shared.changed();
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      if (this.held) this.follow();
      else this.draw();
    });
  }

  /** Redraw only what is dragged. */
  follow() {
    const { width, height } = this.size;
    const [own, item] = [this.stage.querySelector(".eg-own"), this.item];
    if (own && item) moveTo(own, item, width, height);
  }

  help() {
    return t(
      "layout.help",
      "Drag to move, drag a corner to resize, the dot on the upper edge to turn; Alt moves freely, without snapping. Arrow keys move by 0.01 or 1°, with Shift by ten times that.",
    );
  }

  /** Width and height of the image on the node: the full width, unless that is too tall. */
  get size() {
    const wide = Math.min(Math.max(this.element.clientWidth, 120), TALLEST * this.backdrop.aspect);
    return { width: Math.round(wide), height: Math.round(wide / this.backdrop.aspect) };
  }

  get items() {
    return this.source.items(this.backdrop.aspect);
  }

  /** The one that is dragged, if there is one. */
  get item() {
    const item = this.items.at(-1);
    return item?.own ? item : undefined;
  }

  /** The items of other editors of the same sampler, and the node's own that are not dragged. */
  others() {
    const nodes = this.node.graph?.nodes ?? [];
    const all = /** @type {Editor[]} */ (nodes.map((node) => this.shared.editorOf(node)).filter(Boolean));
    const there = all.filter((one) => one !== this && !areApart(one.node, this.node)).flatMap((one) => one.items);
    return [...there, ...this.items.filter((item) => !item.own)].map((item) => ({ ...item, own: false }));
  }

  draw() {
    this.backdrop = backdropOf(this.node);
    const { width, height } = this.size;
    const name = t("layout.title", "layout");
    const focused = this.stage.querySelector(":focus")?.getAttribute("data-handle");
    this.stage.replaceChildren(layoutPlot([...this.others(), ...(this.item ? [this.item] : [])], this.backdrop.address, width, height, name));
    this.stage.style.width = `${width}px`;
    if (focused) this.focus(focused);
    if (Math.abs(height - this.height) < 2) return;
    this.height = height;
    refit(this.node);
  }

  /** @param {PointerEvent} event @returns {[number, number]} as fractions of the image */
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
    const inside = (/** @type {Item} */ one) => Boolean(handleAt(one, x, y, near));
    if (!this.item || !inside(this.item)) this.source.pick?.(inside);
    const item = this.item;
    const handle = item ? handleAt(item, x, y, near) : "";
    if (!item || !handle) return;
    this.stage.setPointerCapture(event.pointerId);
    const box = this.stage.getBoundingClientRect();
    this.held = { handle, item, x: event.clientX, y: event.clientY, box, snap: snapper(this.others()) };
    this.focus(handle);
    const at = handlePosition(item, "move");
    if (item.kind !== "point" || near(x, y, at)) return;
    // A point moves to where the image is pressed.
    this.held.x -= (x - at[0]) * box.width;
    this.held.y -= (y - at[1]) * box.height;
    this.move(event);
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (!this.held) return;
    const { handle, item, x, y, box, snap } = this.held;
    // Measured from where the pointer was pressed, as the node itself may move.
    const [dx, dy] = [(event.clientX - x) / box.width, (event.clientY - y) / box.height];
    this.source.set(valuesAfterDrag(item, handle, dx, dy, event.altKey ? freely : snap));
  }

  up() {
    if (this.held) edited();
    this.held = null;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const handle = /** @type {HTMLElement} */ (event.target).dataset?.handle ?? "";
    const step = arrowStep(event, GRID);
    const item = this.item;
    if (!step || !item || !(handle in HANDLES[item.kind])) return;
    // One degree for each hundredth of the image.
    const turn = turnedBy(item, 100 * (step[0] + step[1]));
    this.write(handle === "turn" ? turn : valuesAfterDrag(item, handle, step[0], step[1], freely), handle);
    edited();
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {Record<string, number>} values @param {string} handle that has the focus */
  write(values, handle) {
    this.source.set(values);
    this.focus(handle);
  }

  /** @param {string} handle */
  focus(handle) {
    focusHandle(this.stage, `[data-handle="${handle}"]`);
  }
}

/** Without snapping. @type {Snap} */
const freely = () => 0;
