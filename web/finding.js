// @ts-check
/** What the frontend lists first when a node is looked for: one that fits the socket, or one that guides by itself. */
import { fitting, ordered, STARTS, TYPES, usage } from "./finding_data.js";
import { app } from "./host.js";

/** @typedef {import("../../scripts/app.js").NodeDefinition} NodeDefinition */
/** @typedef {import("./finding_data.js").Socket} Socket */

/** The socket that a link hangs on, where it was let go over the empty canvas. @returns {Socket | undefined} */
function loose() {
  const link = app.canvas.linkConnector?.renderLinks?.[0];
  if (!link?.node || !link.fromSlot) return undefined;
  const { name, type } = link.fromSlot;
  return { kind: link.node.comfyClass ?? "", slot: name, type: String(type), isOutput: link.toType === "input" };
}

/** The menu of a socket, in frontends that have one. */
function orderMenus() {
  const menus = app.extensions?.find(({ name }) => name === "Comfy.SlotDefaults");
  const { slot_types_default_out: outputs = {}, slot_types_default_in: inputs = {} } = menus ?? {};
  const order = (/** @type {Record<string, string[]>} */ lists, /** @type {string} */ type, /** @type {boolean} */ isOutput) => {
    if (lists[type]) lists[type] = ordered(lists[type], fitting({ kind: "", slot: "", type, isOutput }));
  };
  for (const type of TYPES.outputs) order(outputs, type, true);
  for (const type of TYPES.inputs) order(inputs, type, false);
  menus?.setDefaults?.(menus.suggestionsNumber?.value);
}

app.registerExtension({
  name: "EnergyGuidance.Finding",
  addCustomNodeDefs(definitions) {
    for (const [kind, definition] of Object.entries(definitions)) {
      if (!kind.startsWith("EG")) continue;
      // Matched like a name, where a list of words only says that a node matches at all.
      if (STARTS.includes(kind)) definition.search_aliases = [definition.search_aliases ?? []].flat().join(" ");
      definition.postProcessSearchScores = ([main, ...rest]) => [main, -usage(kind, loose()), ...rest];
    }
  },
  setup: orderMenus,
});
