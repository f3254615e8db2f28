// @ts-check
/** Boxes for words of a prompt on one node: chips to choose the words, and the lines that hold the boxes. */
import { colorIndex } from "./colors.js";
import { edited, setWidgets, widgetOf } from "./host.js";
import { boxOf, clicked, parsed, written } from "./place_data.js";
import { Picker } from "./words.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */
/** @typedef {import("./layout_data.js").Item} Item */

export const BOXES = "EGPlaceWords";

export class Boxes {
  widgets = ["boxes"];

  /** @param {ComfyNode} node */
  constructor(node) {
    this.node = node;
    /** The box that is dragged. */
    this.chosen = 0;
    this.picker = new Picker(node, {
      prompt: "text",
      watched: this.widgets,
      phraseAt: (places, index) => {
        const boxes = this.boxes;
        return boxes[boxOf(places, index, boxes)]?.words ?? "";
      },
      isOn: (places, index) => boxOf(places, index, this.boxes) === this.chosen,
      toggle: (places, index, event) => {
        const { boxes, chosen } = clicked(places, index, this.boxes, this.chosen, event.shiftKey);
        this.choose(chosen, boxes);
        edited();
      },
    });
  }

  get boxes() {
    return parsed(String(widgetOf(this.node, "boxes")?.value ?? ""));
  }

  /** @param {number} aspect @returns {Item[]} */
  items(aspect) {
    const items = this.boxes.map(({ words, values }, index) => ({
      ...{ kind: "box", values, label: words, color: colorIndex(words), own: index === this.chosen, aspect },
    }));
    return [...items.filter((item) => !item.own), ...items.filter((item) => item.own)];
  }

  /** @param {Record<string, number>} values */
  set(values) {
    this.write(this.boxes.map((box, index) => (index === this.chosen ? { ...box, values } : box)));
  }

  /** Let the box that is pressed be dragged. @param {(item: Item) => boolean} hits */
  pick(hits) {
    const aspect = 1;
    const found = this.boxes.findIndex(({ words, values }) => hits({ kind: "box", values, label: words, color: 0, own: false, aspect }));
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
