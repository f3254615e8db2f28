/** The rules that the modules of web/ keep, and the messages that they ask for. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";

const CHECKOUT = new URL("../..", import.meta.url);
const read = (name) => readFileSync(new URL(name, CHECKOUT), "utf-8");
const NAMES = readdirSync(new URL("web", CHECKOUT)).filter((name) => /\.(js|css)$/.test(name));
const MODULES = NAMES.filter((name) => name.endsWith(".js"));
const LONGEST = 220;

/** What a module imports when it runs. @param {string} name */
const imported = (name) => [...read(`web/${name}`).matchAll(/^import .* from "(.*)";$/gm)].map(([, from]) => from);

test(`no file is longer than ${LONGEST} lines`, () => {
  for (const name of NAMES) assert.ok(read(`web/${name}`).split("\n").length - 1 <= LONGEST, name);
});

test("every module has its types checked", () => {
  for (const name of MODULES) assert.ok(read(`web/${name}`).startsWith("// @ts-check\n"), name);
});

test("what computes knows no drawing and no frontend, what draws no frontend", () => {
  for (const name of MODULES.filter((name) => name.endsWith("_data.js")))
    for (const from of imported(name)) assert.match(from, /^\.\/\w+_data\.js$/, name);
  for (const name of MODULES.filter((name) => name.endsWith("_view.js") || name === "dom.js"))
    for (const from of imported(name)) assert.match(from, /^\.\/(\w+_data|\w+_view|dom)\.js$/, name);
  for (const name of MODULES) assert.ok(name === "host.js" || !imported(name).some((from) => from.includes("scripts/")), name);
});

/** Messages by dotted name. */
function* messages(part, prefix = "") {
  for (const [name, value] of Object.entries(part))
    if (typeof value === "string") yield [prefix + name, value];
    else yield* messages(value, `${prefix}${name}.`);
}

const asked = new Map(
  MODULES.flatMap((name) => [...read(`web/${name}`).matchAll(/\bt\(\s*"([\w.]+)",\s*"((?:[^"\\]|\\.)*)"/g)]).map(([, key, english]) => [key, english]),
);
// Buttons ask for their own names.
const BUTTONS = ["flat", "down", "up", "cosine", "bell", "late", "steps"].map((name) => `schedule.${name}`);
// Names of energies, by class: tests/core/test_legend.py.
const NAMED = "monitor.energies.";
const holes = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();

for (const language of readdirSync(new URL("locales", CHECKOUT)))
  test(`${language} has the messages that are asked for, no others, with the same values to fill in`, () => {
    const there = new Map(messages(JSON.parse(read(`locales/${language}/main.json`)).energyGuidance));
    const own = [...there.keys()].filter((key) => !key.startsWith(NAMED));
    assert.deepEqual(own.sort(), [...asked.keys(), ...BUTTONS].sort());
    for (const [key, english] of asked) assert.deepEqual(holes(there.get(key)), holes(english), key);
  });
