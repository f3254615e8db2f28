// @ts-check
/** Boxes, points and outlines to drag over the image. Their values are the nodes' plain numbers. */
import { api, app, everyNode, fileAddress, widgetOf } from "./host.js";
import { NODES } from "./layout_data.js";
import { Editor } from "./layout_editor.js";

/** Milliseconds from the last change until the other editors are drawn. */
const PAUSE = 150;

/** Nodes whose output images are diagrams. */
const DIAGRAMS = ["EGPlotTrace", "EGShowAttention"];

/** The latest image of any run, shown below the boxes. */
const backdrop = { address: "", aspect: 1 };

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

const shared = { backdrop, editorOf: (/** @type {object} */ node) => editors.get(node), changed: drawAllSoon };

/** Lay an image below all boxes. @param {string} address */
function lay(address) {
  const image = new Image();
  image.onload = () => {
    Object.assign(backdrop, { address, aspect: image.naturalWidth / image.naturalHeight || 1 });
    drawAll();
  };
  image.src = address;
}

/** @param {CustomEvent<import("../../scripts/api.js").Events["executed"]>} event */
function executed({ detail }) {
  const image = detail.output?.images?.[0];
  const source = [...everyNode()].find(([id]) => id === detail.node)?.[1];
  if (image && !DIAGRAMS.includes(source?.comfyClass ?? "")) lay(fileAddress(image));
}

app.registerExtension({
  name: "EnergyGuidance.Layout",
  setup() {
    api.addEventListener("b_preview", ({ detail }) => lay(URL.createObjectURL(detail)));
    api.addEventListener("executed", executed);
  },
  nodeCreated(node) {
    const kind = NODES[node.comfyClass ?? ""];
    if (kind && kind.widgets.every((name) => widgetOf(node, name))) editors.set(node, new Editor(node, shared));
  },
  afterConfigureGraph: drawAll,
});
