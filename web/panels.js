// @ts-check
/** Panels of the pack: elements below the widgets of a node. */

/** @typedef {import("./host.js").ComfyNode} ComfyNode */
/** @typedef {import("./host.js").ComfyWidget} ComfyWidget */

/** Pixels around a panel. */
const MARGIN = 6;
/**
 * What shows a run, in this order, stands below what is edited: a page loads the pack's files in any
 * order, and so their panels are added in any.
 */
const BELOW = ["attention_viewer", "monitor", "said"];

/** Panels of all nodes. @type {Set<ComfyWidget>} */
const panels = new Set();
/**
 * With more panels than this, those that cannot be used while zoomed out hide there, as the
 * frontend's text fields do: it moves every visible one in each frame.
 */
const MOST_AFAR = 20;

/**
 * Put an element below the widgets of a node. It has no value of its own and is not saved.
 * @param {ComfyNode} node
 * @param {string} name
 * @param {HTMLElement} element
 * @param {() => number} height in pixels
 * @param {boolean} [afar] stays visible while zoomed out
 */
export function addPanel(node, name, element, height, afar = false) {
  const widget = node.addDOMWidget(name, `eg_${name}`, element, {
    serialize: false,
    margin: MARGIN,
    getMinHeight: () => height() + 2 * MARGIN,
    getMaxHeight: () => height() + 2 * MARGIN,
  });
  Object.defineProperty(widget.options, "hideOnZoom", { get: () => !afar && panels.size > MOST_AFAR });
  // The workflow's list of values and the queued prompt each ask in their own place.
  widget.serialize = false;
  panels.add(widget);
  const removed = widget.onRemove;
  widget.onRemove = () => {
    panels.delete(widget);
    removed?.call(widget);
  };
  // The canvas scrolls and drags on what reaches it: a panel's own clicks must not.
  element.addEventListener("pointerdown", (event) => event.stopPropagation());
  node.widgets?.sort((one, other) => BELOW.indexOf(one.name) - BELOW.indexOf(other.name));
  refit(node);
  return widget;
}

/**
 * Let a node find its height after its panel has changed its own.
 *
 * A saved height is kept only where a text field fills the rest of the node: elsewhere it was the
 * height of another panel, not the user's choice.
 * @param {ComfyNode} node
 */
export function refit(node) {
  const least = node.computeSize();
  const stretches = node.widgets?.some((widget) => widget.type === "customtext");
  const height = stretches ? Math.max(node.size[1], least[1]) : least[1];
  node.setSize([Math.max(node.size[0], least[0]), height]);
  node.graph?.setDirtyCanvas?.(true, true);
}
