// @ts-check
/** What the curves of a sampling run mean, whether what was asked is reached, and what harms the image, as text. */
import { colorOf, html } from "./dom.js";

/** @typedef {import("./host.js").Translate} Translate */
/** @typedef {import("./monitor_data.js").Curves} Curves */
/** @typedef {import("./monitor_data.js").Reached} Reached */
/** @typedef {import("./monitor_data.js").Series} Series */

/**
 * What the colours mean, in words; the rule stands before where there are several.
 * @param {Series[]} series
 * @param {Translate} t
 */
export function legend(series, t) {
  const several = new Set(series.map(({ rule }) => rule)).size > 1;
  return html(
    "div",
    { class: "eg-legend" },
    ...series.map((one) => {
      const said = called(one.term, t);
      const parts = [html("i", { style: `background:${colorOf(one.color)}` }), several ? `${one.rule}, ${said}` : said];
      return html("span", { class: "eg-key", title: `${one.rule}: ${said}` }, ...parts, ...reached(one.reached, t));
    }),
  );
}

/**
 * A term of a trace in words: "ClassLabel red" is "label: red".
 * @param {string} term "" is the sum of several
 * @param {Translate} t
 */
export function called(term, t) {
  if (!term) return t("monitor.sum", "together");
  const one = (/** @type {string} */ name) => {
    const [kind, ...asked] = name.split(" ");
    const words = t(`monitor.energies.${kind}`, kind.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase());
    return [words, asked.join(" ")].filter(Boolean).join(": ");
  };
  return term.split(" + ").map(one).join(" + ");
}

/**
 * @param {Reached | null} found
 * @param {Translate} t
 */
function reached(found, t) {
  if (!found?.count) return [];
  const all = found.count === found.all;
  const help = t(
    "monitor.reached_help",
    "At the last guided step this was as near as was asked: the rule's stop, the confidence, the noise, or the value at which the authors stop.",
  );
  const text = all ? t("monitor.reached", "reached ✓") : t("monitor.reached_some", "{count} of {all} reached", { ...found });
  return [html("b", { class: "eg-reached", "data-count": found.count, title: help }, text)];
}

/**
 * What harms the image, as warnings, and what else there is to say.
 * @param {Curves} curves
 * @param {{fault: string, interrupted: boolean, decoder: string}} run
 * @param {Translate} t
 */
export function notices(curves, run, t) {
  const says = /** @type {Record<string, [string, string]>} */ ({
    nonfinite: [
      t("monitor.nonfinite", "not finite"),
      t("monitor.nonfinite_help", "A value overflowed: lower the strength, or run the networks in full precision."),
    ],
    strong: [
      t("monitor.strong", "too strong, the image will burn"),
      t("monitor.strong_help", "At low noise, steps this large break textures and colours of most images: lower the strength, or end earlier."),
    ],
    saturated: [
      t("monitor.saturated", "hardly any pull left"),
      t(
        "monitor.saturated_help",
        "The gradient has almost vanished: the steps change little of what was asked. End earlier, or set stop.",
      ),
    ],
  });
  const said = (/** @type {string} */ kind, /** @type {string[]} */ steps) => {
    const [text, help] = says[kind];
    const count = t("monitor.steps", "{text}: {count} step(s)", { text, count: steps.length });
    return { kind, help, text: count };
  };
  const line = (/** @type {string} */ name, /** @type {{kind: string, text: string, help: string}} */ { kind, text, help }) =>
    html("span", { class: name, "data-kind": kind, title: help }, text);
  const warned = curves.warnings.map(({ kind, steps }) => said(kind, steps.map(String)));
  const noted = [...course(curves, run, t), ...curves.notes.map(({ kind, steps }) => said(kind, steps.map(String)))];
  return html(
    "div",
    { class: "eg-notices", role: "status" },
    ...(run.fault ? [line("eg-warning", { kind: "fault", text: `✕ ${run.fault}`, help: run.fault })] : []),
    ...warned.map((one) => line("eg-warning", { ...one, text: `⚠ ${one.text}` })),
    ...noted.map((one) => line("eg-note", one)),
  );
}

/**
 * Where the run ended, how many of its steps were guided, and what decoded for it.
 * @param {Curves} curves
 * @param {{interrupted: boolean, decoder: string}} run
 * @param {Translate} t
 */
function course({ skipped, taken, steps }, { interrupted, decoder }, t) {
  const found = [];
  if (interrupted) found.push({ kind: "interrupted", text: t("monitor.interrupted", "interrupted at step {step} of {all}", { step: taken, all: steps }), help: "" });
  if (skipped.length)
    found.push({
      kind: "skipped",
      text: t("monitor.skipped", "guided: {count} of {all} steps", { count: taken - skipped.length, all: taken }),
      help: t("monitor.skipped_help", "Grey steps are outside the window or have strength 0: the model ran alone."),
    });
  if (decoder)
    found.push({
      kind: "decoder",
      text: t("monitor.decoder", "decoder: {decoder}", { decoder }),
      help: t("monitor.decoder_help", "What turned latents into the images that energies looked at. The widget decoder chooses it; vae is exact."),
    });
  return found;
}
