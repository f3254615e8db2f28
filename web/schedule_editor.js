// @ts-check
/** The curve on one schedule node: what is dragged, and the text or numbers that it sets. */
import { arrowStep, focusHandle, html, listenForDrags } from "./dom.js";
import { edited, onWidgets, setWidgets, t, widgetOf } from "./host.js";
import { latestRun } from "./latest_run.js";
import { addPanel } from "./panels.js";
import { SHAPES, withAdded, withMoved, windowPoints, pointsFrom, withRemoved, onGrid, textOf } from "./schedule_data.js";
import { HEIGHT, schedulePlot, frame } from "./schedule_view.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */
/** @typedef {import("./schedule_data.js").Pair} Pair */

/** What a drawn curve takes the place of. */
const PLAIN = ["start_percent", "end_percent", "curve"];
const WIDGETS = [...PLAIN, "points"];
const GRID = 0.01;
/** Pixels around a handle within which a press holds it. */
const REACH = 11;
const BUTTONS = 26;

export class Editor {
  /** @param {ComfyNode} node */
  constructor(node) {
    this.node = node;
    this.held = -1;
    /** From the pointer to the point that it holds. */
    this.offset = [0, 0];
    this.stage = html("div", { class: "eg-stage", title: this.help() });
    this.bar = html("div", { class: "eg-bar" }, ...this.buttons());
    this.element = html("div", { class: "eg-panel eg-schedule" }, this.bar, this.stage);
    addPanel(node, "curve_editor", this.element, () => HEIGHT + BUTTONS);
    onWidgets(node, WIDGETS, () => this.draw());
    this.stage.addEventListener("contextmenu", (event) => event.preventDefault());
    listenForDrags(this.stage, {
      down: (event) => this.down(event),
      move: (event) => this.move(event),
      up: () => this.up(),
      key: (event) => this.key(event),
    });
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  help() {
    return t(
      "schedule.help",
      "Click to add a point, drag to move it, right-click or Delete to remove it; arrow keys move by 0.01, with Shift by 0.1.",
    );
  }

  buttons() {
    const curves = { flat: "constant", down: "linear_down", up: "linear_up", cosine: "cosine" };
    const window = () => [this.value("start_percent"), this.value("end_percent")];
    const plain = Object.entries(curves).map(([name, curve]) => this.button(name, () => ({ curve, points: "" })));
    const drawnOnes = Object.entries(SHAPES).map(([name, shape]) =>
      this.button(name, () => ({ points: textOf(shape(.../** @type {[number, number]} */ (window()))) })),
    );
    return [...plain, ...drawnOnes];
  }

  /**
   * @param {string} name
   * @param {() => Record<string, unknown>} values
   */
  button(name, values) {
    const press = () => {
      setWidgets(this.node, values());
      edited();
    };
    return html("button", { type: "button", class: "eg-chip", onclick: press }, t(`schedule.${name}`, name));
  }

  /** @param {string} name */
  value(name) {
    return widgetOf(this.node, name)?.value;
  }

  /** The points to draw, null where they are malformed, and whether the user drew them. */
  course() {
    const text = String(this.value("points") ?? "").trim();
    if (text) return { points: pointsFrom(text), own: true };
    const [start, end] = [Number(this.value("start_percent")), Number(this.value("end_percent"))];
    return { points: start < end ? windowPoints(start, end, String(this.value("curve"))) : null, own: false };
  }

  get width() {
    return Math.max(this.element.clientWidth, 160);
  }

  draw() {
    const { points, own } = this.course();
    for (const name of PLAIN) {
      const widget = widgetOf(this.node, name);
      if (widget) widget.disabled = own;
    }
    if (points) {
      const focused = this.stage.querySelector(":focus")?.getAttribute("data-index");
      this.stage.replaceChildren(schedulePlot(points, own, latestRun(), this.width, t));
      if (focused) this.focus(Number(focused));
      return;
    }
    const fault = own
      ? t("schedule.malformed", "points must be position:strength pairs from left to right: write them as 0:0, 0.3:1, 0.7:0.5")
      : t("schedule.empty_window", "start_percent must be smaller than end_percent");
    this.stage.replaceChildren(html("div", { class: "eg-warning eg-empty", role: "alert" }, fault));
  }

  /** The zoom of the canvas. */
  get zoom() {
    return this.stage.getBoundingClientRect().width / this.width || 1;
  }

  /** @param {PointerEvent} event */
  place(event) {
    const box = this.stage.getBoundingClientRect();
    return [(event.clientX - box.left) / this.zoom, (event.clientY - box.top) / this.zoom];
  }

  /** @param {PointerEvent} event */
  down(event) {
    const { points, own } = this.course();
    if (!points) return;
    const [left, down] = this.place(event);
    const { x, y, back } = frame(points, this.width);
    const far = points.map(([px, py]) => Math.hypot(x(px) - left, y(py) - down));
    const near = far.indexOf(Math.min(...far));
    const ends = own || near === 0 || near === points.length - 1;
    const hit = far[near] <= REACH && ends ? near : -1;
    if (event.button === 2) {
      if (own && hit >= 0) this.write(withRemoved(points, hit));
      if (own && hit >= 0) edited();
      return;
    }
    this.stage.setPointerCapture(event.pointerId);
    this.frame = frame(points, this.width);
    // Measured from where the pointer was pressed, as the node itself may move.
    const [fromX, fromY] = hit >= 0 ? [x(points[hit][0]), y(points[hit][1])] : [left, down];
    this.offset = [fromX - event.clientX / this.zoom, fromY - event.clientY / this.zoom];
    if (hit >= 0) this.held = hit;
    else {
      const [px, py] = back(left, down);
      const [more, index] = withAdded(points, [onGrid(px, GRID), onGrid(py, GRID)]);
      this.write(more);
      this.held = index;
    }
    this.focus(this.held);
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (this.held < 0) return;
    const { points, own } = this.course();
    if (!points || !this.frame) return;
    const [x, y] = this.offset;
    const to = this.frame.back(x + event.clientX / this.zoom, y + event.clientY / this.zoom);
    this.shift(points, own, this.held, to, event.altKey ? GRID / 10 : GRID);
  }

  up() {
    if (this.held >= 0) edited();
    this.held = -1;
  }

  /**
   * @param {Pair[]} points
   * @param {boolean} own
   * @param {number} index
   * @param {Pair} to
   * @param {number} grid
   */
  shift(points, own, index, to, grid) {
    if (own) this.write(withMoved(points, index, to, grid));
    else {
      const name = index === 0 ? "start_percent" : "end_percent";
      const other = Number(this.value(index === 0 ? "end_percent" : "start_percent"));
      const limit = index === 0 ? Math.min(to[0], other - GRID) : Math.max(to[0], other + GRID);
      setWidgets(this.node, { [name]: onGrid(limit, GRID) });
    }
    this.focus(index);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const index = Number(/** @type {HTMLElement} */ (event.target).dataset?.index ?? NaN);
    const { points, own } = this.course();
    if (!points || Number.isNaN(index)) return;
    const step = arrowStep(event, GRID);
    if (step) this.shift(points, own, index, [points[index][0] + step[0], points[index][1] - step[1]], GRID);
    else if (own && (event.key === "Delete" || event.key === "Backspace")) this.write(withRemoved(points, index));
    else return;
    edited();
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} index */
  focus(index) {
    focusHandle(this.stage, `[data-index="${index}"]`);
  }

  /** Set the text, which draws it. @param {Pair[]} points */
  write(points) {
    setWidgets(this.node, { points: textOf(points) });
  }
}
