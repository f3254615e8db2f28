// @ts-check
/** Strength in words beside its number: choosing a word sets the number, another number is "custom". */
import { app, onWidgets, setWidgets, widgetOf } from "./host.js";
import { numberOf, wordOf } from "./start_data.js";

export const STARTS = [
  "EGGuideWithText",
  "EGGuideWithImage",
  "EGKeepFromImage",
  "EGFixMissingObjects",
  "EGPlaceWords",
];

app.registerExtension({
  name: "EnergyGuidance.Start",
  nodeCreated(node) {
    if (!STARTS.includes(node.comfyClass ?? "")) return;
    const word = () => String(widgetOf(node, "strength")?.value);
    const number = () => Number(widgetOf(node, "amount")?.value);
    onWidgets(node, ["strength"], () => setWidgets(node, { amount: numberOf(word(), number()) }));
    onWidgets(node, ["amount"], () => setWidgets(node, { strength: wordOf(number()) }));
  },
});
