// @ts-check
/** Plots in the theme of the page, and room for them from the start. */
import { app, widgetOf } from "./host.js";

/** Pixels of the canvas that a node keeps free for its image. @type {Record<string, number>} */
const ROOMS = { EGPlotTrace: 360, EGTuneGuidance: 240 };
const AUTO = "auto";

/** The theme by the brightness of its text, whatever palette it is. */
function theme() {
  const probe = document.createElement("i");
  probe.style.color = "var(--input-text, #ddd)";
  document.body.append(probe);
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g)?.map(Number) ?? [255, 255, 255];
  probe.remove();
  return red + green + blue > 3 * 128 ? "dark" : "light";
}

app.registerExtension({
  name: "EnergyGuidance.Plot",
  nodeCreated(node) {
    const room = ROOMS[node.comfyClass ?? ""];
    if (!room) return;
    // A saved workflow sets its own size after this.
    node.setSize([Math.max(node.size[0], room), node.computeSize()[1] + room]);
    const widget = widgetOf(node, "theme");
    if (widget) widget.serializeValue = () => (widget.value === AUTO ? theme() : widget.value);
  },
});
