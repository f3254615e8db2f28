// @ts-check
/** Draws the curves of a sampling run: energy, gradient and push, one above the other. */
import { colorOf, short, svg } from "./dom.js";
import { TOO_STRONG } from "./monitor_verdict_data.js";

/** @typedef {import("./monitor_data.js").Curves} Curves */
/** @typedef {import("./monitor_data.js").Series} Series */
/** @typedef {import("./host.js").Translate} Translate */

const LEFT = 6;
const RIGHT = 6;
const TITLE = 13;
const GAP = 5;
const AXIS = 15;
const LEAST = 20;
/** With more points than this, a line without dots is clearer. */
const MOST_DOTS = 150;

/** A colour as text, dark on light and light on dark. @param {string} color */
const readable = (color) => `color-mix(in srgb, ${color} 50%, var(--eg-text))`;

/**
 * @param {Curves} curves
 * @param {number[]} sigmas
 * @param {number} width in pixels
 * @param {number} height in pixels
 * @param {Translate} t
 * @returns {SVGElement}
 */
export function monitorPlot(curves, sigmas, width, height, t) {
  const tall = Math.max((height - AXIS) / 3 - TITLE - GAP, LEAST);
  const right = Math.max(width - RIGHT, LEFT + 40);
  const x = (/** @type {number} */ step) => LEFT + (step / curves.steps) * (right - LEFT);
  const highest = Math.max(0, ...curves.push.flatMap(({ points }) => points.map((p) => p.high || 0)));
  // Only where it is near: far above, it would press the curve flat.
  const mark = curves.late < Infinity && highest > TOO_STRONG / 2 ? { at: TOO_STRONG, from: curves.late } : undefined;
  const rows = [
    { name: "energy", title: t("monitor.energy", "energy"), series: curves.energy },
    { name: "gradient", title: t("monitor.gradient", "gradient norm"), series: curves.gradient },
    { name: "push", title: t("monitor.push", "step ÷ that of strength 1"), series: curves.push, mark, floor: 0 },
  ];
  const parts = rows.map((row, index) => metric(row, index * (TITLE + tall + GAP), tall, x, right));
  return svg(
    "svg",
    { class: "eg-plot", width, height, viewBox: `0 0 ${width} ${height}`, role: "img" },
    svg("title", {}, t("monitor.alt", "energy, gradient and push of each step")),
    ...bands(curves.skipped, curves.steps, x, height - AXIS),
    ...parts,
    ...axis(sigmas, x, height - 4),
  );
}

/**
 * @param {number[]} skipped
 * @param {number} steps
 * @param {(step: number) => number} x
 * @param {number} height
 */
function bands(skipped, steps, x, height) {
  return skipped.map((step) => {
    const left = x(Math.max(step - 0.5, 0));
    return svg("rect", {
      class: "eg-skipped",
      "data-step": step,
      x: left,
      y: 0,
      width: x(step === steps - 1 ? steps : step + 0.5) - left,
      height,
    });
  });
}

/**
 * @param {{name: string, title: string, series: Series[], mark?: {at: number, from: number}, floor?: number}} row
 * @param {number} top
 * @param {number} tall
 * @param {(step: number) => number} x
 * @param {number} right
 */
function metric({ name, title, series, mark, floor }, top, tall, x, right) {
  const y = scale(series, top + TITLE, tall, [mark?.at, floor].filter((one) => one !== undefined));
  const base = top + TITLE + tall;
  const last = series.map(({ points, color }) => ({
    value: short(points.at(-1)?.y ?? NaN),
    color: colorOf(color),
  }));
  return svg(
    "g",
    { class: "eg-metric", "data-metric": name },
    svg("text", { x: LEFT, y: top + 10, class: "eg-label" }, title),
    svg(
      "text",
      { x: right, y: top + 10, class: "eg-value", "text-anchor": "end" },
      ...last.map((one, i) => svg("tspan", { dx: i && 6, style: `fill:${readable(one.color)}` }, one.value)),
    ),
    svg("line", { class: "eg-base", x1: LEFT, x2: right, y1: base, y2: base }),
    ...(mark === undefined
      ? []
      : [svg("line", { class: "eg-mark", x1: x(mark.from), x2: right, y1: y(mark.at), y2: y(mark.at) })]),
    ...series.flatMap((one) => curve(one, x, y)),
  );
}

/**
 * @param {Series} series
 * @param {(step: number) => number} x
 * @param {(value: number) => number} y
 */
function curve({ name, color, points }, x, y) {
  const seen = points.filter((point) => Number.isFinite(point.y));
  const stroke = colorOf(color);
  // Where a step was taken several times, the line follows the last; the others stay dots.
  const last = seen.filter((p, i) => seen[i + 1]?.x !== p.x);
  const line = last.map((p, i) => `${i ? "L" : "M"}${x(p.x).toFixed(1)} ${y(p.y).toFixed(1)}`);
  const edge = [...last.map((p) => [p.x, p.high]), ...[...last].reverse().map((p) => [p.x, p.low])];
  const dots = points.length > MOST_DOTS ? [] : seen;
  return [
    svg("polygon", {
      class: "eg-spread",
      points: edge.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" "),
      style: `fill:${stroke}`,
    }),
    svg("path", { class: "eg-line", d: line.join(""), style: `stroke:${stroke}`, "data-name": name }),
    ...dots.map((p) =>
      svg("circle", {
        class: "eg-dot",
        "data-name": name,
        cx: x(p.x).toFixed(1),
        cy: y(p.y).toFixed(1),
        r: 1.6,
        style: `fill:${stroke}`,
      }),
    ),
  ];
}

/**
 * Heights of the values of a row, logarithmic where they span decades.
 * @param {Series[]} series
 * @param {number} top
 * @param {number} tall
 * @param {number[]} visible values that must be seen too; a floor keeps rounding from looking like a course
 */
function scale(series, top, tall, visible) {
  const values = series
    .flatMap(({ points }) => points.flatMap(({ low, high }) => [low, high]))
    .filter(Number.isFinite);
  const shown = values.length ? [...values, ...visible] : values;
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  const decades = low > 0 && high / low > 30;
  const bend = decades ? Math.log : (/** @type {number} */ value) => value;
  const span = bend(high) - bend(low);
  return (/** @type {number} */ value) =>
    top + 2 + (tall - 4) * (span > 0 ? (bend(high) - bend(value)) / span : 0.5);
}

/**
 * @param {number[]} sigmas
 * @param {(step: number) => number} x
 * @param {number} y
 */
function axis(sigmas, x, y) {
  const last = sigmas.length - 1;
  if (last < 1) return [];
  const marks = [...new Set([0, Math.round(last / 3), Math.round((2 * last) / 3), last])];
  return marks.map((step) =>
    svg(
      "text",
      {
        class: "eg-tick",
        x: x(step),
        y,
        "text-anchor": step === 0 ? "start" : step === last ? "end" : "middle",
      },
      step === 0 ? `σ ${short(sigmas[step])}` : short(sigmas[step]),
    ),
  );
}
