// @ts-check
/** A curve to drag on the schedule node. Its value is the node's plain text `points`. */
import { app, everyNode } from "./host.js";
import { onRun } from "./latest_run.js";
import { Editor } from "./schedule_editor.js";

const NODE = "EGSchedule";

/** @type {WeakMap<object, Editor>} */
const editors = new WeakMap();

function redraw() {
  for (const [, node] of everyNode()) editors.get(node)?.draw();
}

app.registerExtension({
  name: "EnergyGuidance.Schedule",
  setup: () => onRun(redraw),
  nodeCreated(node) {
    if (node.comfyClass === NODE) editors.set(node, new Editor(node));
  },
  afterConfigureGraph: redraw,
});
