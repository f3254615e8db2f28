// @ts-check
/** Live curves on the nodes that guide: energies, gradients and pushes at each step. */
import { knownColor } from "./colors.js";
import { html } from "./dom.js";
import { api, app, everyNode, ownerOf, post, setting, t, translated, workflowKey } from "./host.js";
import { announce } from "./latest_run.js";
import { inWordColors } from "./monitor_colors_data.js";
import { curves, withMessage } from "./monitor_data.js";
import { legend, notices } from "./monitor_notes_view.js";
import { isUnguided } from "./monitor_verdict_data.js";
import { monitorPlot } from "./monitor_view.js";
import { addPanel, refit } from "./panels.js";
import { STARTS } from "./start.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */
/** @typedef {import("./monitor_data.js").Message} Message */
/** @typedef {import("./monitor_data.js").Run} Run */

const EVENT = "energy_guidance.monitor";
const SETTING = "EnergyGuidance.Monitor.Show";
const NODES = ["EGGuidedKSampler", "EGApplyGuidance", ...STARTS];
const FOLDED = "monitor_folded";
const HEADER = 24;
/** Below the header, in CSS pixels, whatever is shown, so that no run moves the nodes around. */
const BODY = 236;
/** @type {Run} */
const NOTHING = { prompt: "", sigmas: [], levels: [], rows: [], done: false, interrupted: false, fault: "", decoder: "" };

/** Runs by workflow and node, kept while another workflow is open. @type {Map<string, Run>} */
const runs = new Map();
/** @type {WeakMap<object, Panel>} */
const panels = new WeakMap();

class Panel {
  /** @param {ComfyNode} node */
  constructor(node) {
    this.node = node;
    /** @type {Run | undefined} */
    this.run = undefined;
    this.waiting = false;
    this.height = HEADER + BODY;
    this.button = html("button", { class: "eg-fold", type: "button", onclick: () => this.fold() });
    this.body = html("div", { class: "eg-body" });
    this.element = html("div", { class: "eg-panel eg-monitor" }, this.button, this.body);
    this.widget = addPanel(node, "monitor", this.element, () => this.height, true);
    new ResizeObserver(() => this.draw()).observe(this.element);
    this.draw();
  }

  get folded() {
    return Boolean(this.node.properties?.[FOLDED]);
  }

  /** Fold away or open; a folded monitor is sent nothing. */
  fold() {
    this.node.properties[FOLDED] = !this.folded;
    tell();
    this.draw();
  }

  /** @param {Run | undefined} run */
  show(run) {
    this.run = run;
    this.draw();
  }

  /** Draw once in the next frame, however often it is asked for. */
  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.drawNow();
    });
  }

  drawNow() {
    const on = Boolean(setting(SETTING, true));
    const open = on && !this.folded;
    this.element.style.display = on ? "" : "none";
    this.button.setAttribute("aria-expanded", String(!this.folded));
    this.button.textContent = `${this.folded ? "▸" : "▾"} ${t("monitor.title", "Guidance monitor")}`;
    this.body.style.height = `${open ? BODY : 0}px`;
    this.body.replaceChildren();
    this.setHeight(on ? HEADER + (open ? BODY : 0) : 0);
    if (open) this.fill();
  }

  /** The curves take the height that is left between what they mean and what is said of them. */
  fill() {
    const run = this.run ?? NOTHING;
    const made = inWordColors(curves(run), knownColor);
    const empty = (/** @type {string} */ text) => html("div", { class: "eg-empty" }, text);
    const above = !this.run
      ? empty(t("monitor.empty", "Curves appear while sampling."))
      : isUnguided(run)
        ? empty(t("monitor.unguided", "Not guided: strength 0, or no step inside the window."))
        : legend(made.energy, t);
    const below = notices(made, run, t);
    this.body.replaceChildren(above, below);
    const width = Math.max(this.element.clientWidth, 160);
    const height = BODY - above.offsetHeight - below.offsetHeight;
    below.before(monitorPlot(made, run.sigmas, width, height, t));
  }

  /** @param {number} height */
  setHeight(height) {
    if (Math.abs(height - this.height) < 2) return;
    this.height = height;
    refit(this.node);
  }
}

/** Whether the frontend has a graph: it logs an error when asked for one too early. */
let ready = false;

/** Tell the server which nodes to send; in one message, however many nodes were added at once. */
const tell = (() => {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      if (!ready) return;
      const folded = [...everyNode()].filter(([, node]) => panels.get(node)?.folded).map(([id]) => id);
      const body = { client_id: api.clientId, on: Boolean(setting(SETTING, true)), folded };
      if (api.clientId) post("monitor", body).catch((error) => console.warn("Energy Guidance:", error.message));
    }, 50);
  };
})();

/** @param {string} id @param {string} prompt */
const keyOf = (id, prompt) => `${ownerOf(prompt)}\n${id}`;

/** Show on every node of the open workflow its latest run. */
function refresh() {
  for (const [id, node] of everyNode()) panels.get(node)?.show(runs.get(`${workflowKey()}\n${id}`));
  tell();
}

/** @param {CustomEvent<Message>} event */
function received({ detail }) {
  const key = keyOf(detail.node, detail.prompt_id);
  const run = withMessage(runs.get(key), detail);
  runs.set(key, run);
  if (detail.sigmas?.length) announce(run);
  if (!key.startsWith(`${workflowKey()}\n`)) return;
  for (const [id, node] of everyNode()) if (id === detail.node) panels.get(node)?.show(run);
}

/** @param {CustomEvent<import("../../scripts/api.js").Events["execution_error"]>} event */
function failed({ detail }) {
  for (const [key, run] of runs) {
    if (run.prompt !== detail.prompt_id || !run.rows.length) continue;
    runs.set(key, { ...run, fault: String(detail.exception_message ?? "").trim() });
  }
  refresh();
}

app.registerExtension({
  name: "EnergyGuidance.Monitor",
  settings: [
    {
      id: SETTING,
      category: ["Energy Guidance", "Monitor", "Show"],
      name: "Show live curves on guided samplers",
      tooltip: "Off: nothing is drawn or sent. Never changes an image.",
      type: "boolean",
      defaultValue: true,
      onChange: () => {
        if (!ready) return;
        for (const [, node] of everyNode()) panels.get(node)?.draw();
        tell();
      },
    },
  ],
  commands: [
    {
      id: "EnergyGuidance.ToggleMonitor",
      label: "Energy Guidance: show or hide the live curves",
      icon: "pi pi-chart-line",
      function: () => app.extensionManager?.setting?.set(SETTING, !setting(SETTING, true)),
    },
  ],
  keybindings: [{ commandId: "EnergyGuidance.ToggleMonitor", combo: { key: "e", alt: true, shift: true } }],
  async setup() {
    ready = true;
    api.addEventListener(EVENT, received);
    api.addEventListener("execution_error", failed);
    // A restarted server has forgotten who watches.
    api.addEventListener("status", () => tell());
    api.addEventListener("reconnected", () => tell());
    await translated;
    refresh();
  },
  nodeCreated(node) {
    if (!NODES.includes(node.comfyClass ?? "")) return;
    panels.set(node, new Panel(node));
    tell();
  },
  afterConfigureGraph: refresh,
});
