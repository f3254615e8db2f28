// @ts-check
/** Draws a strength schedule with its handles. */
import { short, svg } from "./dom.js";
import { percentAt, sigmaAt } from "./schedule_data.js";

/** @typedef {import("./schedule_data.js").Pair} Pair */
/** @typedef {import("./monitor_data.js").Run} Run */
/** @typedef {import("./host.js").Translate} Translate */

export const HEIGHT = 132;
const LEFT = 28;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 34;

/**
 * From percent and strength to pixels, and back.
 * @param {Pair[]} points
 * @param {number} width
 */
export function frame(points, width) {
  const top = Math.max(1, ...points.map(([, y]) => y)) * 1.08;
  const [wide, tall] = [width - LEFT - RIGHT, HEIGHT - TOP - BOTTOM];
  return {
    top,
    x: (/** @type {number} */ percent) => LEFT + percent * wide,
    y: (/** @type {number} */ strength) => TOP + tall * (1 - strength / top),
    /** @type {(left: number, down: number) => Pair} */
    back: (left, down) => [
      Math.min(1, Math.max(0, (left - LEFT) / wide)),
      Math.max(0, top * (1 - (down - TOP) / tall)),
    ],
  };
}

/**
 * @param {Pair[]} points
 * @param {boolean} own whether the points are the user's; else only the window's ends move
 * @param {Run | undefined} run
 * @param {number} width
 * @param {Translate} t
 */
export function schedulePlot(points, own, run, width, t) {
  const { x, y, top } = frame(points, width);
  const floor = y(0);
  const course = points.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`);
  const [first, last] = [points[0], points[points.length - 1]];
  const handles = own ? points.map((point, i) => ({ point, i })) : [{ point: first, i: 0 }, { point: last, i: points.length - 1 }];
  return svg(
    "svg",
    { class: "eg-plot eg-schedule-plot", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` },
    ...[0, 0.5, 1, 2, 5, 10].filter((mark) => mark <= top && (mark !== 0.5 || top < 3)).flatMap((mark) => [
      svg("line", { class: "eg-grid", x1: x(0), x2: x(1), y1: y(mark), y2: y(mark) }),
      svg("text", { class: "eg-tick", x: LEFT - 9, y: y(mark) + 3, "text-anchor": "end" }, short(mark)),
    ]),
    svg("polygon", { class: "eg-area", points: `${x(first[0])},${floor} ${course.join(" ")} ${x(last[0])},${floor}` }),
    svg("polyline", { class: "eg-course", points: `${x(0)},${floor} ${x(first[0])},${floor} ${course.join(" ")} ${x(last[0])},${floor} ${x(1)},${floor}` }),
    ...steps(run, points, x, floor),
    ...axis(run, x, t),
    ...handles.map(({ point: [px, py], i }) =>
      svg("circle", {
        class: own ? "eg-handle" : "eg-handle eg-edge",
        cx: x(px),
        cy: y(py),
        r: 5,
        tabindex: 0,
        role: "slider",
        "data-index": i,
        "aria-label": t("schedule.point", "point {number}", { number: i + 1 }),
        "aria-valuetext": `${short(100 * px)} %: ${short(py)}`,
      }),
    ),
  );
}

/**
 * The steps of the latest run, as ticks.
 * @param {Run | undefined} run
 * @param {Pair[]} points
 * @param {(percent: number) => number} x
 * @param {number} floor
 */
function steps(run, points, x, floor) {
  if (!run?.levels.length) return [];
  return run.sigmas.slice(0, -1).map((sigma, step) => {
    const percent = percentAt(sigma, run.levels);
    const inside = percent >= points[0][0] && percent < points[points.length - 1][0];
    return svg(
      "line",
      { class: inside ? "eg-step eg-step-on" : "eg-step", "data-step": step, x1: x(percent), x2: x(percent), y1: floor, y2: floor + 5 },
      svg("title", {}, `${step + 1}/${run.sigmas.length - 1}: σ ${short(sigma)}`),
    );
  });
}

/**
 * @param {Run | undefined} run
 * @param {(percent: number) => number} x
 * @param {Translate} t
 */
function axis(run, x, t) {
  const marks = [0, 0.25, 0.5, 0.75, 1];
  const anchor = (/** @type {number} */ mark) => (mark === 0 ? "start" : mark === 1 ? "end" : "middle");
  const line = (/** @type {(mark: number) => string} */ read, /** @type {number} */ up, /** @type {string} */ name) =>
    marks.map((mark) =>
      svg("text", { class: `eg-tick ${name}`, x: x(mark), y: HEIGHT - up, "text-anchor": anchor(mark) }, read(mark)),
    );
  const percents = line((mark) => `${100 * mark} %`, 16, "eg-percent");
  if (!run?.levels.length) {
    const hint = t("schedule.after", "σ and steps appear after a run");
    return [...percents, svg("text", { class: "eg-tick", x: x(0), y: HEIGHT - 4 }, hint)];
  }
  const start = Math.max(...run.sigmas);
  const sigma = (/** @type {number} */ mark) => short(Math.min(sigmaAt(mark, run.levels), start));
  return [...percents, ...line((mark) => (mark ? sigma(mark) : `σ ${sigma(mark)}`), 4, "eg-sigma")];
}
