// @ts-check
/** The order of templates. */

/**
 * Names of templates by pack, with those of one pack sorted; the others are left as they are.
 * @param {Record<string, string[]>} templates
 * @param {string} pack
 */
export const inOrder = (templates, pack) =>
  templates[pack] ? { ...templates, [pack]: [...templates[pack]].sort() } : templates;
