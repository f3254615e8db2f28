// @ts-check
/**
 * Where the links of a workflow lead. No host, no drawing.
 *
 * @typedef {string | number} Id
 * @typedef {{type?: string, target_id: Id, target_slot: number}} Link
 * @typedef {{id: Id, outputs?: {links?: Id[] | null}[], subgraph?: Graph}} Node
 * @typedef {object} Graph
 * @property {Node[]} [nodes]
 * @property {(id: Id) => Node | null | undefined} [getNodeById]
 * @property {Map<Id, Link> | Record<Id, Link>} [links]
 * @property {{id: Id, slots?: {linkIds?: Id[]}[]}} [inputNode] of a subgraph: where its inputs come in
 * @property {{id: Id}} [outputNode]
 *
 * @typedef {{graph: Graph, prefix: string, outside?: {scope: Scope, node: Node}}} Scope
 *   a graph, the beginning of its nodes' ids, and the subgraph's node that it is inside of
 */

/** What these carry is not what a guided sampler makes: a prompt that other samplers take too, or what was recorded. */
const ASIDE = ["CONDITIONING", "GUIDANCE_TRACE", "GUIDANCE_REFERENCE"];

/**
 * The nodes that a node leads to, the nearest first, by the ids that the server knows them by: numbers, with those
 * of the subgraphs around them in front ("7:3").
 * @param {Graph} root
 * @param {string} id
 * @param {number} most links on the way
 * @returns {string[]}
 */
export function downstream(root, id, most = Infinity) {
  const start = placeOf(root, id);
  const reached = new Map(start ? [[id, { ...start, links: 0 }]] : []);
  for (const [from, { scope, node, links }] of reached)
    for (const to of links < most ? readers(scope, node) : []) {
      const next = `${to.scope.prefix}${to.node.id}`;
      if (next !== from && !reached.has(next)) reached.set(next, { ...to, links: links + 1 });
    }
  return [...reached.keys()].slice(1);
}

/** @typedef {{scope: Scope, node: Node}} Place */

/** @param {Graph} root @param {string} id @returns {Place | undefined} */
function placeOf(root, id) {
  /** @type {Scope} */
  let scope = { graph: root, prefix: "" };
  const parts = id.split(":");
  for (const [depth, part] of parts.entries()) {
    const node = nodeOf(scope.graph, part);
    if (!node) return undefined;
    if (depth === parts.length - 1) return { scope, node };
    if (!node.subgraph) return undefined;
    scope = inside(scope, node, node.subgraph);
  }
  return undefined;
}

/** @param {Scope} scope @param {Node} node @param {Graph} graph @returns {Scope} */
const inside = (scope, node, graph) => ({ graph, prefix: `${scope.prefix}${node.id}:`, outside: { scope, node } });

/** @param {Graph} graph @param {Id} id */
const nodeOf = (graph, id) => graph.getNodeById?.(id) ?? graph.nodes?.find((node) => String(node.id) === String(id));

/** The nodes that read a node's outputs. @param {Scope} scope @param {Node} node @returns {Generator<Place>} */
function* readers(scope, node) {
  for (const output of node.outputs ?? []) yield* ends(scope, output.links ?? []);
}

/** The nodes at the ends of links, through the borders of subgraphs. @param {Scope} scope @param {Id[]} ids @returns {Generator<Place>} */
function* ends(scope, ids) {
  const { graph, outside } = scope;
  for (const id of ids) {
    const link = graph.links instanceof Map ? graph.links.get(id) : graph.links?.[id];
    if (!link || ASIDE.includes(link.type ?? "")) continue;
    if (outside && link.target_id === graph.outputNode?.id) {
      yield* ends(outside.scope, outside.node.outputs?.[link.target_slot]?.links ?? []);
      continue;
    }
    const node = nodeOf(graph, link.target_id);
    if (node?.subgraph) yield* ends(inside(scope, node, node.subgraph), node.subgraph.inputNode?.slots?.[link.target_slot]?.linkIds ?? []);
    else if (node) yield { scope, node };
  }
}
