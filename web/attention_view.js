// @ts-check
/** Draws attention maps over an image, and what chooses among them. */
import { placeOf, tinted } from "./attention_data.js";
import { html, short } from "./dom.js";

/** @typedef {import("./attention_data.js").Maps} Maps */
/** @typedef {import("./attention_data.js").View} View */
/** @typedef {import("./host.js").Translate} Translate */

/** How dark the image becomes where there is no attention. */
const VEIL = 0.6;

/**
 * Draw the chosen words' maps.
 * @param {HTMLCanvasElement} canvas
 * @param {Maps} maps
 * @param {View} view
 * @param {CanvasImageSource} file of the maps
 * @param {CanvasImageSource | null} image below the maps, or null
 * @param {(word: string) => [number, number, number]} color
 */
export function paint(canvas, maps, view, file, image, color) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.globalAlpha = 1;
  if (image) {
    context.drawImage(image, 0, 0, width, height);
    context.fillStyle = `rgba(0, 0, 0, ${VEIL * view.opacity})`;
    context.fillRect(0, 0, width, height);
  }
  context.globalAlpha = view.opacity;
  maps.words.forEach((word, index) => {
    if (view.words[index]) context.drawImage(tile(maps, view, index, file, color(word)), 0, 0, width, height);
  });
}

/**
 * @param {Maps} maps
 * @param {View} view
 * @param {number} word
 * @param {CanvasImageSource} file
 * @param {[number, number, number]} color
 */
function tile(maps, view, word, file, color) {
  const { x, y, width, height } = placeOf(maps, view.step, view.layer, word);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(file, x, y, width, height, 0, 0, width, height);
  const grey = context.getImageData(0, 0, width, height).data;
  context.putImageData(new ImageData(tinted(grey, color), width, height), 0, 0);
  return canvas;
}

/**
 * The positions of the sliders as text.
 * @param {Maps} maps
 * @param {View} view
 * @param {Translate} t
 */
export function readings(maps, view, t) {
  const [height, width] = maps.layers[view.layer - 1] ?? [];
  const layers = maps.layers.length;
  return {
    image: `${view.image + 1} / ${maps.maps.length}`,
    step: `${view.step + 1} / ${maps.sigmas.length} · σ ${short(maps.sigmas[view.step])}`,
    layer: view.layer ? `${view.layer} / ${layers} · ${width} × ${height}` : t("attention.mean", "mean of {count}", { count: layers }),
    opacity: `${Math.round(100 * view.opacity)} %`,
  };
}

/**
 * A slider between its name and its position as text.
 * @param {string} name
 * @param {string} title
 * @param {{max: number, step: number, value: number}} range
 * @param {(value: number) => void} moved
 */
export function slider(name, title, range, moved) {
  const input = /** @type {HTMLInputElement} */ (
    html("input", { type: "range", min: 0, ...range, "aria-label": title, "data-slider": name })
  );
  input.addEventListener("input", () => moved(Number(input.value)));
  return html("label", { class: "eg-slider" }, html("span", {}, title), input, html("output", { "data-reading": name }));
}

/**
 * @param {string} word
 * @param {boolean} on
 * @param {string} color
 * @param {() => void} pressed
 */
export function chip(word, on, color, pressed) {
  return html(
    "button",
    { type: "button", class: "eg-word", "aria-pressed": String(on), style: `--eg-word: ${color}`, onclick: pressed },
    word,
  );
}
