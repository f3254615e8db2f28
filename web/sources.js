// @ts-check
/** What is linked to an input, through reroutes and into and out of subgraphs. */
import { everyNode, widgetOf } from "./host.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */
/** @typedef {import("../../scripts/app.js").ComfyInput} ComfyInput */

/** Nodes of a text alone, their widget is `value`. */
export const TEXTS = ["PrimitiveString", "PrimitiveStringMultiline"];
/** The frontend's number of a subgraph's own inputs. */
const INSIDE = -10;

/**
 * The node that is linked to an input; null where none is.
 * @param {ComfyNode} node
 * @param {string} name of the input
 * @returns {ComfyNode | null}
 */
export const sourceOf = (node, name) => behind(node, node.inputs?.find((one) => one.name === name));

/**
 * The text of a widget, or of the text node that is linked to it; null where it comes from elsewhere.
 * @param {ComfyNode} node
 * @param {string} name
 * @returns {string | null}
 */
export function textOf(node, name) {
  const input = node.inputs?.find((one) => one.name === name);
  if (input?.link == null) return String(widgetOf(node, name)?.value ?? "");
  const source = behind(node, input);
  return source && TEXTS.includes(source.comfyClass ?? "") ? textOf(source, "value") : null;
}

/** Call `changed` once a link of a node has been made or taken away. @param {ComfyNode} node @param {() => void} changed */
export function onLinks(node, changed) {
  const before = node.onConnectionsChange;
  node.onConnectionsChange = function (...change) {
    before?.apply(this, change);
    // The link is made after this call.
    setTimeout(changed);
  };
}

/**
 * @param {ComfyNode} node
 * @param {ComfyInput | undefined} input
 * @returns {ComfyNode | null}
 */
function behind(node, input) {
  const link = input?.link == null ? undefined : linkOf(node.graph, input.link);
  if (!link) return null;
  if (Number(link.origin_id) === INSIDE) {
    const outer = [...everyNode()].find(([, one]) => one.subgraph && one.subgraph === node.graph)?.[1];
    return outer ? behind(outer, outer.inputs?.[link.origin_slot]) : null;
  }
  return through(node.graph?.getNodeById?.(link.origin_id) ?? null, link.origin_slot);
}

/**
 * The node that makes an output, where another one passes it on.
 * @param {ComfyNode | null} node
 * @param {number} slot
 * @returns {ComfyNode | null}
 */
function through(node, slot) {
  if (node?.type === "Reroute") return behind(node, node.inputs?.[0]);
  const graph = node?.subgraph;
  if (!graph) return node;
  const link = linkOf(graph, graph.outputs?.[slot]?.linkIds?.[0]);
  return link ? through(graph.getNodeById?.(link.origin_id) ?? null, link.origin_slot) : null;
}

/** @param {import("../../scripts/app.js").ComfyGraph | null | undefined} graph @param {number | undefined} id */
const linkOf = (graph, id) => (id === undefined ? undefined : (graph?.getLink?.(id) ?? undefined));
