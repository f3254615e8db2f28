// @ts-check
/** Sockets and links of the pack's types in colours of their own. */
import { html } from "./dom.js";
import { app } from "./host.js";
import { SOCKETS } from "./sockets_data.js";

/** Let a colour stand in a table that the frontend fills anew with each theme; one that a theme has of its own wins. */
function color(/** @type {Record<string, unknown>} */ table, /** @type {string} */ type, /** @type {string} */ ours) {
  let theirs = table[type];
  Object.defineProperty(table, type, {
    configurable: true,
    enumerable: true,
    get: () => theirs || ours,
    set: (value) => (theirs = value),
  });
}

app.registerExtension({
  name: "EnergyGuidance.Sockets",
  setup() {
    const { canvas } = app;
    for (const table of [canvas.default_connection_color_byType, canvas.constructor.link_type_colors])
      for (const [type, ours] of Object.entries(SOCKETS)) if (table) color(table, type, ours);
    // Nodes 2.0; a theme's own colour is set on the element itself and wins.
    const rules = Object.entries(SOCKETS).map(([type, ours]) => `--color-datatype-${type}: ${ours};`);
    document.head.append(html("style", {}, `:root { ${rules.join(" ")} }`));
    canvas.setDirty?.(true, true);
  },
});
