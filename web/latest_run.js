// @ts-check
/** The latest sampling run of any node, which tells the noise levels and steps of percentages. */

/** @typedef {import("./monitor_data.js").Run} Run */

/** @type {Run | undefined} */
let latest;
const news = new EventTarget();

/** @param {Run} run */
export function announce(run) {
  latest = run;
  news.dispatchEvent(new Event("run"));
}

export const latestRun = () => latest;

/** @param {() => void} heard */
export const onRun = (heard) => news.addEventListener("run", heard);
