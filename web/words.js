// @ts-check
/** The prompt's words as chips to choose from. The choice is the node's plain text `words`. */
import { colorIndex } from "./colors.js";
import { arrowKeys, colorOf, html, short } from "./dom.js";
import { api, app, edited, everyNode, idOf, onWidgets, post, setWidgets, t, widgetOf } from "./host.js";
import { addPanel, refit } from "./panels.js";
import { onLinks, TEXTS, textOf } from "./sources.js";
import { chosenBy, guessed, phraseAround, phrases, places, toggled } from "./words_data.js";

/** @typedef {import("./host.js").ComfyNode} ComfyNode */
/** @typedef {import("./words_data.js").Place} Place */
/** @typedef {import("./words_data.js").Spelt} Spelt */

/**
 * What a picker chooses from, and what a click does.
 * @typedef {object} Choice
 * @property {string} prompt the widget of the prompt
 * @property {string[]} watched the widgets that hold the choice
 * @property {(places: Place[], index: number) => string} phraseAt the phrase that a word is chosen by, or ""
 * @property {(places: Place[], index: number) => boolean} isOn whether the word is shown as pressed
 * @property {(places: Place[], index: number, event: MouseEvent) => void} toggle
 */

const NODE = "EGTokens";
const PAUSE = 300;

/** @type {WeakMap<object, Picker>} */
const pickers = new WeakMap();

export class Picker {
  /** @param {ComfyNode} node @param {Choice} choice */
  constructor(node, choice) {
    this.node = node;
    this.choice = choice;
    /** @type {Place[]} */
    this.places = [];
    this.said = "";
    this.height = 40;
    this.timer = 0;
    this.chips = html("div", { class: "eg-chips", role: "group", "aria-label": t("words.title", "words of the prompt") });
    this.note = html("div", { class: "eg-note eg-empty", role: "status" });
    this.element = html("div", { class: "eg-panel eg-words" }, this.chips, this.note);
    addPanel(node, "word_picker", this.element, () => this.height);
    arrowKeys(this.chips);
    onWidgets(node, [choice.prompt], () => this.ask());
    onLinks(node, () => this.ask());
    onWidgets(node, choice.watched, () => this.draw());
    pickers.set(node, this);
    new ResizeObserver(() => this.fit()).observe(this.element);
    this.ask();
  }

  /** The prompt as typed here or in the text node that is linked; null where it comes from elsewhere. */
  get prompt() {
    return textOf(this.node, this.choice.prompt);
  }

  /** Ask the tokenizer for the words, once the typing pauses. */
  ask() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.fetch(), PAUSE);
  }

  async fetch() {
    const id = idOf(this.node);
    const prompt = this.prompt;
    if (id === undefined) return;
    try {
      const { words } = await post("words", { node: id, prompt });
      this.show(words, words.length ? "" : t("words.none", "The prompt has no words."));
    } catch (error) {
      const { status, message } = /** @type {Error & {status?: number}} */ (error);
      const guess = prompt === null ? [] : guessed(prompt);
      const unseen = t("words.unseen", "Guessed: the words of the tokenizer come with the first run.");
      this.show(guess, status === 404 ? unseen : message);
    }
  }

  /**
   * @param {Spelt[]} words
   * @param {string} said
   */
  show(words, said) {
    this.places = places(words);
    this.said = said;
    this.draw();
  }

  draw() {
    const chips = /** @type {HTMLElement[]} */ ([...this.chips.children]);
    // Chips are kept: the tokenizer may answer between press and release.
    for (const chip of chips.slice(this.places.length)) chip.remove();
    for (let index = chips.length; index < this.places.length; index++)
      this.chips.append(this.chip(index));
    this.places.forEach((place, index) => this.dress(/** @type {HTMLElement} */ (this.chips.children[index]), place, index));
    this.note.textContent = this.said;
    this.fit();
  }

  /** @param {number} index */
  chip(index) {
    const chip = html("button", { type: "button" });
    chip.addEventListener("click", (event) => this.choice.toggle(this.places, index, event));
    return chip;
  }

  /**
   * @param {HTMLElement} chip
   * @param {Place} place
   * @param {number} index
   */
  dress(chip, place, index) {
    const [phrase, on] = [this.choice.phraseAt(this.places, index), this.choice.isOn(this.places, index)];
    chip.className = phrase && !on ? "eg-word eg-in-phrase" : "eg-word";
    chip.title = [phrase, ...about(place)].filter(Boolean).join("\n");
    chip.replaceChildren(...face(place));
    chip.setAttribute("aria-pressed", String(on));
    chip.style.setProperty("--eg-word", phrase ? colorOf(colorIndex(phrase)) : "");
  }

  fit() {
    const height = this.chips.offsetHeight + this.note.offsetHeight + 2;
    if (Math.abs(height - this.height) < 2 || height <= 2) return;
    this.height = height;
    refit(this.node);
  }
}

/** The choice of words of a node, as its text. @param {ComfyNode} node @returns {Choice} */
function words(node) {
  const text = () => String(widgetOf(node, "words")?.value ?? "");
  return {
    prompt: "prompt",
    watched: ["words"],
    phraseAt(places, index) {
      const chosen = phrases(text());
      const by = chosenBy(places[index], chosen);
      return by < 0 ? phraseAround(places, index, chosen) : chosen[by];
    },
    isOn: (places, index) => chosenBy(places[index], phrases(text())) >= 0,
    toggle(places, index) {
      setWidgets(node, { words: toggled(places, index, text()) });
      edited();
    },
  };
}

/** The content of a chip: the word, divided into its tokens, and its weight. @param {Place} place */
const face = ({ pieces, weight }) => [
  ...pieces.map((piece) => html("span", { class: "eg-piece" }, piece)),
  ...(weight === 1 ? [] : [html("span", { class: "eg-weight" }, `×${short(weight)}`)]),
];

/** The tooltip of a chip: its tokens and weight. @param {Place} place */
const about = ({ pieces, weight }) => [
  ...(pieces.length > 1 ? [t("words.pieces", "{count} tokens: {pieces}", { count: pieces.length, pieces: pieces.join(" · ") })] : []),
  ...(weight === 1 ? [] : [t("words.weight", "weight {weight}", { weight: short(weight) })]),
];

function askAll() {
  for (const [, node] of everyNode()) pickers.get(node)?.ask();
}

app.registerExtension({
  name: "EnergyGuidance.Words",
  setup() {
    api.addEventListener("execution_success", askAll);
    api.addEventListener("execution_error", askAll);
  },
  nodeCreated(node) {
    if (node.comfyClass === NODE) new Picker(node, words(node));
    if (TEXTS.includes(node.comfyClass ?? "")) onWidgets(node, ["value"], askAll);
  },
  afterConfigureGraph: askAll,
});
