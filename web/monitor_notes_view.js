// @ts-check
/** What the curves of a sampling run mean, and warnings about them, as text. */
import { colorOf, html } from "./dom.js";

/** @typedef {import("./host.js").Translate} Translate */
/** @typedef {import("./monitor_data.js").Curves} Curves */
/** @typedef {import("./monitor_data.js").Series} Series */

/**
 * What the colours mean.
 * @param {Series[]} series
 */
export function legend(series) {
  return html(
    "div",
    { class: "eg-legend" },
    ...series.map(({ name, color }) =>
      html(
        "span",
        { class: "eg-key", title: name },
        html("i", { style: `background:${colorOf(color)}` }),
        name,
      ),
    ),
  );
}

/**
 * Warnings, as text.
 * @param {Curves} curves
 * @param {{fault: string, decoder: string}} run
 * @param {Translate} t
 */
export function notices(curves, { fault, decoder }, t) {
  const says = /** @type {Record<string, [string, string]>} */ ({
    nonfinite: [
      t("monitor.nonfinite", "not finite"),
      t("monitor.nonfinite_help", "A value overflowed: lower the strength, or run the networks in full precision."),
    ],
    saturated: [
      t("monitor.saturated", "saturated"),
      t("monitor.saturated_help", "The gradient has almost vanished, and the push is mostly noise. End earlier, or set stop."),
    ],
    overpowering: [
      t("monitor.overpowering", "over 3× CFG"),
      t("monitor.overpowering_help", "The push is more than 3 times that of CFG, and texture burns in: lower the strength, or end earlier."),
    ],
  });
  const found = curves.warnings.map(({ kind, steps }) => {
    const [text, help] = says[kind];
    const count = t("monitor.steps", "{text}: {count} step(s)", { text, count: steps.length });
    return html("span", { class: "eg-warning", "data-kind": kind, title: help }, `⚠ ${count}`);
  });
  if (curves.skipped.length)
    found.push(
      html(
        "span",
        {
          class: "eg-note",
          "data-kind": "skipped",
          title: t("monitor.skipped_help", "Grey steps are outside the window or have strength 0: they were not guided."),
        },
        t("monitor.skipped", "{count} step(s) unguided", { count: curves.skipped.length }),
      ),
    );
  if (decoder)
    found.push(
      html(
        "span",
        {
          class: "eg-note",
          "data-kind": "decoder",
          title: t("monitor.decoder_help", "What turned latents into the images that energies looked at. The widget decoder chooses it; vae is exact."),
        },
        t("monitor.decoder", "decoder: {decoder}", { decoder }),
      ),
    );
  if (fault) found.unshift(html("span", { class: "eg-warning", "data-kind": "fault", title: fault }, `✕ ${fault}`));
  return html("div", { class: "eg-notices", role: "status" }, ...found);
}
