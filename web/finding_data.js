// @ts-check
/**
 * Which nodes fit a socket, the best first, and which are found first. No host, no drawing.
 *
 * @typedef {{kind: string, slot: string, type: string, isOutput: boolean}} Socket of a node of this kind
 */

/** Nodes that guide by themselves: what a beginner looks for. */
export const STARTS = ["EGGuideWithText", "EGPlaceWords", "EGGuideWithImage", "EGFixMissingObjects", "EGKeepFromImage"];

/** What takes an output of a type. @type {Record<string, string[]>} */
const AFTER = {
  GUIDANCE_ENERGY: ["EGRuleForward", "EGCombineEnergies", "EGGuidedKSampler", "EGRuleBackward", "EGScheduleEnergy"],
  GUIDANCE_RULE: ["EGApplyGuidance", "EGGuidedKSampler"],
  GUIDANCE_SCHEDULE: ["EGRuleForward", "EGScheduleEnergy", "EGRuleBackward"],
  GUIDANCE_TRACE: ["EGPlotTrace"],
  GUIDANCE_TOKENS: ["EGEnergyBox", "EGEnergyPosition", "EGEnergyPresence", "EGEnergyBinding"],
  GUIDANCE_REFERENCE: ["EGEnergyAttentionKeep", "EGShowAttention", "EGEnergyFeatureKeep"],
  GUIDANCE_PATH: ["EGRecordReference"],
  GUIDANCE_DIRECTION: ["EGHSpaceEdit"],
};

/** What gives an input of a type. @type {Record<string, string[]>} */
const BEFORE = {
  GUIDANCE_ENERGY: ["EGEnergyCLIPText", "EGEnergyBox", "EGEnergyPosition", "EGEnergyColor", "EGCombineEnergies"],
  GUIDANCE_RULE: ["EGRuleForward", "EGRuleBackward", "EGRuleLatentUpdate"],
  GUIDANCE_SCHEDULE: ["EGSchedule"],
  GUIDANCE_TRACE: ["EGApplyGuidance", "EGGuidedKSampler"],
  GUIDANCE_TOKENS: ["EGTokens"],
  GUIDANCE_REFERENCE: ["EGRecordReference"],
  GUIDANCE_PATH: ["EGInvert"],
  GUIDANCE_DIRECTION: ["EGHSpaceDirection", "EGLoadHSpaceDirection"],
};

/** Loaders of guide networks, and the nodes that take theirs. @type {Record<string, string[]>} */
const NETWORKS = {
  EGLoadOpenCLIP: ["EGEnergyCLIPText", "EGEnergyCLIPImage", "EGEnergyAesthetic", "EGGuideWithText"],
  EGGuideFromCLIPVision: ["EGEnergyCLIPImage"],
  EGLoadClassifier: ["EGEnergyClassifier"],
  EGLoadNoisyClassifier: ["EGEnergyNoisyClassifier"],
  EGLoadSegmenter: ["EGEnergySegmentation"],
  EGLoadDetector: ["EGEnergyDetection", "EGEnergyFaceIdentity.detector"],
  EGLoadFaceEncoder: ["EGEnergyFaceIdentity"],
  EGLoadViT: ["EGEnergyStyle", "EGEnergyStructure", "EGEnergyImage", "EGGuideWithImage"],
};

/** The nodes that fit a socket, the best first. @param {Socket} socket @returns {string[]} */
export function fitting({ kind, slot, type, isOutput }) {
  if (type !== "GUIDE_NETWORK") return (isOutput ? AFTER : BEFORE)[type] ?? [];
  if (isOutput) return (NETWORKS[kind] ?? []).filter((one) => !one.includes("."));
  const loaders = Object.keys(NETWORKS);
  const exact = loaders.filter((loader) => NETWORKS[loader].includes(`${kind}.${slot}`));
  return exact.length ? exact : loaders.filter((loader) => NETWORKS[loader].includes(kind));
}

/**
 * How often a node counts as used, in [0, 1]: more than another pack's, less than any stock node. The frontend lists
 * what is used more first, among nodes that match equally well.
 * @param {string} kind
 * @param {Socket | undefined} socket that a link hangs on while a node is looked for
 */
export function usage(kind, socket) {
  const order = socket ? fitting(socket) : [];
  if (order.includes(kind)) return 1 - order.indexOf(kind) / 100;
  return STARTS.includes(kind) ? 0.5 - STARTS.indexOf(kind) / 100 : 0;
}

/** The nodes of a menu, those that fit first. @param {string[]} kinds @param {string[]} fit */
export const ordered = (kinds, fit) => [...fit.filter((kind) => kinds.includes(kind)), ...kinds.filter((kind) => !fit.includes(kind))];

/** Types whose sockets have nodes that fit, for outputs and for inputs. */
export const TYPES = { outputs: Object.keys(AFTER), inputs: Object.keys(BEFORE) };
