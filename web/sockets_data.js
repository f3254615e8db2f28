// @ts-check
/** Colours of the pack's own types of sockets and links: between those of the stock types, seen on dark and on light. */

/** @type {Record<string, string>} */
export const SOCKETS = {
  GUIDANCE_ENERGY: "#ed4f1f",
  GUIDANCE_RULE: "#a467e9",
  GUIDANCE_SCHEDULE: "#0d94a3",
  GUIDANCE_TRACE: "#ba7089",
  GUIDANCE_TOKENS: "#e546aa",
  GUIDANCE_REFERENCE: "#26994d",
  GUIDANCE_PATH: "#a18412",
  GUIDANCE_DIRECTION: "#6784a0",
  GUIDE_NETWORK: "#3985ef",
};
