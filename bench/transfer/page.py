"""The section of docs/benchmark.md about one strength for every sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench import command, markdown, records
from bench.records import Row, fingerprint_with

RESULTS = command.RESULTS / "transfer.json"
MIXTURE, NO_WEIGHTS = "mixture", "none"  # the mixture is a formula
# Guide networks that each target of Shapes is asked by, beside the model itself.
NETWORKS: dict[str, tuple[str, ...]] = {
    "red": ("classifier",),
    "circle": ("classifier",),
    "position": (),
}
TARGETS = [MIXTURE, *NETWORKS]
STEPS = (20, 50, 100)
AT = 30  # steps of the comparison of samplers
SAMPLERS = (
    *("euler", "dpmpp_2m", "uni_pc", "euler_ancestral", "dpmpp_sde"),
    *("lcm", "ddim", "res_multistep"),
)
HEAD = ("sampler", "steps", "satisfied", "clean", "images", "unguided: satisfied", "clean")
PARTS = ("satisfied", "clean")
INTRODUCTION = [
    "## One strength for every sampler and number of steps",
    "",
    "Written by `python -m bench.transfer`: KSampler (Guided) of a real ComfyUI with its default",
    "widgets (strength 0.5 until 70 %) at CFG 1. mixture is a model of six modes in 16 numbers",
    "whose answers are known: one of the six is asked for by its exact label. Of Shapes a label is",
    "asked with an empty prompt; position is a big red circle within 12 pixels of (0.3, 0.7).",
    "",
]
NOTES = [
    "lcm is made for distilled models: on others its images are unfinished, guided or not.",
    "Samplers that put noise back (euler_ancestral, dpmpp_sde, lcm) move objects further in as",
    "many steps than the others do.",
]
Kind = tuple[str, int, bool]
Cell = dict[str, float]


def plan() -> list[Kind]:
    """Sampler, steps, and whether guided, of every cell."""
    steps = [("euler", count, True) for count in STEPS]
    samplers = [(name, AT, guided) for name in SAMPLERS for guided in (True, False)]
    return [*steps, *samplers]


def weights_of(target: str) -> str:
    """Fingerprint of the weights that take part in a target."""
    return NO_WEIGHTS if target == MIXTURE else fingerprint_with(NETWORKS[target])


def read() -> list[Row]:
    """Finished batches of today's weights."""
    return records.read(RESULTS, [{"target": t, "weights": weights_of(t)} for t in TARGETS])


def shares(rows: Sequence[Row]) -> dict[Kind, Cell]:
    """Fractions satisfied and clean over seeds, and how many images, of each cell of the plan."""
    found = {}
    for kind in plan():
        own = [row for row in rows if (row["sampler"], row["steps"], row["guided"]) == kind]
        count = sum(row["batch"] for row in own)
        if count:
            parts = {part: sum(row[part] for row in own) / count for part in PARTS}
            found[kind] = {**parts, "images": count}
    return found


def _cells(kind: Kind, found: Mapping[Kind, Cell]) -> list[str]:
    sampler, steps, _ = kind
    plain = found.get((sampler, steps, False))
    own = [f"{found[kind][part]:.2f}" for part in PARTS]
    other = ["" if plain is None else f"{plain[part]:.2f}" for part in PARTS]
    return [sampler, str(steps), *own, str(found[kind]["images"]), *other]


def section(rows: Sequence[Row]) -> list[str]:
    """Lines of Markdown; none without results."""
    lines: list[str] = []
    for target in dict.fromkeys(row["target"] for row in rows):
        found = shares([row for row in rows if row["target"] == target])
        guided = [_cells(kind, found) for kind in found if kind[2]]
        lines += [f"### {target}", "", *markdown.table(HEAD, guided), ""]
    return [*INTRODUCTION, *lines, *NOTES, ""] if rows else []
