// @ts-check
/** Boxes for words of a prompt: chips to choose the words, and the lines that hold the boxes. */
import { colorIndex } from "./colors.js";
import { edited, setWidgets, widgetOf } from "./host.js";
import { boxOf, clicked, parsed, written } from "./place_data.js";
import { Picker } from "./words.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */
/** @typedef {import("./layout_data.js").Item} Item */

/** The boxes in the lines of a node's text. */
export class Boxes {
  widgets = ["boxes"];

  /** @param {ComfyNode} node @param {string} kind of the items: a box that can be turned, or a frame */
  constructor(node, kind) {
    this.node = node;
    this.kind = kind;
    /** The box that is dragged. */
    this.chosen = 0;
  }

  get boxes() {
    return parsed(String(widgetOf(this.node, "boxes")?.value ?? ""));
  }

  /** @param {number} aspect @returns {Item[]} */
  items(aspect) {
    const items = this.boxes.map(({ words, values }, index) => ({
      ...{ kind: this.kind, values, label: words, color: colorIndex(words), own: index === this.chosen, aspect },
    }));
    return [...items.filter((item) => !item.own), ...items.filter((item) => item.own)];
  }

  /** @param {Record<string, number>} values */
  set(values) {
    this.write(this.boxes.map((box, index) => (index === this.chosen ? { ...box, values } : box)));
  }

  /** Let the box that is pressed be dragged. @param {(item: Item) => boolean} hits */
  pick(hits) {
    const plain = { kind: this.kind, color: 0, own: false, aspect: 1 };
    const found = this.boxes.findIndex(({ words, values }) => hits({ ...plain, values, label: words }));
    if (found >= 0) this.choose(found, this.boxes);
  }

  /** @param {number} chosen @param {import("./place_data.js").Box[]} boxes */
  choose(chosen, boxes) {
    this.chosen = chosen;
    this.write(boxes);
    // Also where only the choice has changed.
    widgetOf(this.node, "boxes")?.callback?.(written(boxes));
  }

  /** @param {import("./place_data.js").Box[]} boxes */
  write(boxes) {
    setWidgets(this.node, { boxes: written(boxes) });
  }
}

/** Boxes for words of the prompt, chosen from its words. @param {ComfyNode} node */
export function boxesOfWords(node) {
  const made = new Boxes(node, "box");
  new Picker(node, {
    prompt: "text",
    watched: made.widgets,
    phraseAt: (places, index) => {
      const boxes = made.boxes;
      return boxes[boxOf(places, index, boxes)]?.words ?? "";
    },
    isOn: (places, index) => boxOf(places, index, made.boxes) === made.chosen,
    toggle: (places, index, event) => {
      const { boxes, chosen } = clicked(places, index, made.boxes, made.chosen, event.shiftKey);
      made.choose(chosen, boxes);
      edited();
    },
  });
  return made;
}
