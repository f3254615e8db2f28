// @ts-check
/** Boxes, points and outlines to drag over the image. Their values are the nodes' plain numbers. */
import { watchImages } from "./backdrops.js";
import { colorIndex } from "./colors.js";
import { distanceOf, watchDistances } from "./distances.js";
import { percentOf } from "./distances_data.js";
import { app, everyNode, onWidgets, setWidgets, t, widgetOf } from "./host.js";
import { NODES } from "./layout_data.js";
import { Editor } from "./layout_editor.js";
import { boxesOfLabels } from "./label_boxes.js";
import { boxesOfWords } from "./place.js";
import { onLinks } from "./sources.js";
import { phrases } from "./words_data.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */

/** Nodes with several boxes, in lines of text. @type {Record<string, (node: ComfyNode) => import("./place.js").Boxes>} */
const BOXES = { EGPlaceWords: boxesOfWords, EGEnergyDetection: boxesOfLabels, EGEnergySegmentation: boxesOfLabels };

/** Milliseconds from the last change until the other editors are drawn. */
const PAUSE = 150;

/** @type {WeakMap<object, Editor>} */
const editors = new WeakMap();

function drawAll() {
  for (const [, node] of everyNode()) editors.get(node)?.draw();
}

/** Every editor shows the boxes of all: while one is dragged, the others wait. */
const drawAllSoon = (() => {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(drawAll, PAUSE);
  };
})();

const shared = { editorOf: (/** @type {object} */ node) => editors.get(node), changed: drawAllSoon };

/**
 * The one item of a node whose numbers are widgets of their own.
 * @param {ComfyNode} node
 * @param {{kind: string, widgets: string[]}} kind
 * @returns {import("./layout_editor.js").Source}
 */
function numbers(node, { kind, widgets }) {
  const number = (/** @type {string} */ name) => Number(widgetOf(node, name)?.value) || 0;
  const measured = kind === "point" ? lastDistance(node) : () => "";
  const item = (/** @type {number} */ aspect) => {
    const values = Object.fromEntries(widgets.map((name) => [name, number(name)]));
    const words = wordsOf(node);
    const label = [words.join(", "), measured(words.join(", "), values)].filter(Boolean).join(" · ");
    return { kind, values, label, color: colorIndex(words[0] ?? ""), own: true, aspect };
  };
  return { widgets, items: (aspect) => [item(aspect)], set: (values) => setWidgets(node, values) };
}

/**
 * How far the words were from their point in the last run, as text; "" once the point has been moved.
 * @param {ComfyNode} node
 */
function lastDistance(node) {
  /** @type {{run?: object, at: string}} */
  let seen = { at: "" };
  return (/** @type {string} */ words, /** @type {Record<string, number>} */ values) => {
    const [found, at] = [distanceOf(node, words), JSON.stringify(values)];
    if (!found) return "";
    if (seen.run !== found.run) seen = { run: found.run, at };
    return seen.at === at ? t("layout.away", "{percent} % away", { percent: percentOf(found.distance) }) : "";
  };
}

/** The words of the node that is connected to the input `tokens`. @param {ComfyNode} node */
function wordsOf(node) {
  const slot = node.inputs?.findIndex((input) => input.name === "tokens") ?? -1;
  const source = slot < 0 ? null : node.getInputNode?.(slot);
  return phrases(String((source && widgetOf(source, "words")?.value) ?? ""));
}

app.registerExtension({
  name: "EnergyGuidance.Layout",
  setup() {
    watchImages(drawAll);
    watchDistances(drawAll);
  },
  nodeCreated(node) {
    const kind = NODES[node.comfyClass ?? ""];
    if (kind?.widgets.every((name) => widgetOf(node, name))) editors.set(node, new Editor(node, shared, numbers(node, kind)));
    const boxes = BOXES[node.comfyClass ?? ""];
    if (boxes && widgetOf(node, "boxes")) editors.set(node, new Editor(node, shared, boxes(node)));
    if (editors.has(node)) onLinks(node, drawAllSoon);
    // Load Image, which may be fed into an editor.
    onWidgets(node, ["image"], drawAllSoon);
  },
  afterConfigureGraph: drawAll,
});
