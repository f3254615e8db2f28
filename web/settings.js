// @ts-check
/** Settings of no single widget: colours, and the decoder of new nodes. */
import { app, setting, setWidgets } from "./host.js";

const COLORS = "EnergyGuidance.Plots.Colors";
const DECODER = "EnergyGuidance.Nodes.Decoder";

app.registerExtension({
  name: "EnergyGuidance.Settings",
  settings: [
    {
      id: COLORS,
      category: ["Energy Guidance", "Plots", "Colors"],
      name: "Colours of curves and words",
      tooltip: "Distinct: told apart by colour-blind eyes. Vivid: stronger. Grey: shades only.",
      type: "combo",
      options: ["distinct", "vivid", "grey"],
      defaultValue: "distinct",
      onChange: (/** @type {string} */ name) => {
        document.documentElement.dataset.egColors = name;
      },
    },
    {
      id: DECODER,
      category: ["Energy Guidance", "Nodes", "Decoder"],
      name: "Decoder of new Apply Guidance nodes",
      tooltip: "Nodes of saved workflows keep theirs. auto takes a tiny or fitted decoder where there is one, vae is exact, rgb sees colours only.",
      type: "combo",
      options: ["auto", "vae", "taesd", "rgb", "fitted"],
      defaultValue: "auto",
    },
  ],
  nodeCreated(node) {
    // A saved workflow sets its own value after this.
    if (node.comfyClass === "EGApplyGuidance") setWidgets(node, { decoder: setting(DECODER, "auto") });
  },
});
