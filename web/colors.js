// @ts-check
/** One colour for each word, the same in every widget of a workflow and whenever it is opened. */
import { colored, colorIn, colorsOf } from "./colors_data.js";
import { everyNode, widgetOf } from "./host.js";
import { parsed } from "./place_data.js";
import { phrases } from "./words_data.js";

/** The phrases that a node asks for. @param {import("./host.js").ComfyNode} node */
function phrasesOf(node) {
  const [words, boxes] = ["words", "boxes"].map((name) => String(widgetOf(node, name)?.value ?? ""));
  return [...phrases(words), ...parsed(boxes).map((box) => box.words)];
}

const { compare } = new Intl.Collator("en", { numeric: true });

/** Colours by word, counted again once the widgets have drawn. @type {Map<string, number> | undefined} */
let colors;

function colorsNow() {
  if (colors) return colors;
  queueMicrotask(() => (colors = undefined));
  // By number: the order of nodes changes with every click.
  const nodes = [...everyNode()].filter(([, node]) => node.comfyClass?.startsWith("EG"));
  nodes.sort(([one], [other]) => compare(one, other));
  colors = colorsOf(nodes.flatMap(([, node]) => phrasesOf(node)));
  return colors;
}

/** The number of a phrase's colour; -1 for none. @param {string} phrase */
export const colorIndex = (phrase) => colorIn(phrase, colorsNow());

/** The number of the colour of a phrase that the workflow has; undefined for others. @param {string} phrase */
export const knownColor = (phrase) => colorsNow().get(colored(phrase));
