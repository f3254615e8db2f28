"""Does one strength suit every sampler and every number of steps? Measured in a real ComfyUI.

    python -m bench.transfer
    python -m bench.transfer --pictures 32 --targets red circle

KSampler (Guided) with its default widgets, at CFG 1, is asked for labels of the Shapes classifier
with an empty prompt, and for the place of a big red circle; the oracle judges from pixels. The
target mixture is a model whose answers are known, which costs next to nothing. Each finished batch
is noted in bench/results/transfer.json, so that a run that was stopped goes on where it was; the
page is written by `python -m bench.quality --render`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.records import GUIDED, fingerprint, read, write
from tools import environment, hosts

RESULTS = hosts.CHECKOUT / "bench" / "results" / "transfer.json"
STEPS = (20, 50, 100)
MIXTURE, DRAWS = "mixture", 1000
NO_WEIGHTS = "none"  # the mixture is a formula
AT = 30  # steps of the comparison of samplers
SAMPLERS = (
    *("euler", "dpmpp_2m", "uni_pc", "euler_ancestral", "dpmpp_sde"),
    *("lcm", "ddim", "res_multistep"),
)
INTRODUCTION = [
    "## One strength for every sampler and number of steps",
    "",
    "Written by `python -m bench.transfer`: KSampler (Guided) of a real ComfyUI with its default",
    "widgets at CFG 1. mixture is a model of six things in 16 numbers whose answers are known: one",
    "of the six is asked for by its exact label. Of Shapes a label is asked with an empty prompt;",
    "position is a big red circle within 12 pixels of (0.3, 0.7).",
    "",
]
NOTES = [
    "lcm is made for distilled models: on others its pictures are unfinished, guided or not.",
    "Samplers that put noise back (euler_ancestral, dpmpp_sde, lcm) move objects further in as",
    "many steps than the others do.",
]


def plan() -> list[tuple[str, int, bool]]:
    """Sampler, steps, and whether guided, of every cell."""
    steps = [("euler", count, True) for count in STEPS]
    samplers = [(name, AT, guided) for name in SAMPLERS for guided in (True, False)]
    return [*steps, *samplers]


def key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes a batch the same batch."""
    names = ("weights", "sampler", "steps", "guided", "target", "seed", "batch")
    return tuple(row[name] for name in names)


def run(options: argparse.Namespace) -> None:
    """Sample what is missing, inside ComfyUI's python."""
    from bench import transfer_host

    rows, weights = read(options.results), fingerprint(*GUIDED)
    done = {key(row) for row in rows}
    jobs = [
        (target, seed)
        for target in options.targets
        for seed in range(0, 1 if target == MIXTURE else options.pictures, options.batch)
    ]
    for target, seed in jobs:
        batch = DRAWS if target == MIXTURE else options.batch
        for sampler, steps, guided in plan():
            row = {"sampler": sampler, "steps": steps, "guided": guided}
            row |= {"weights": NO_WEIGHTS if target == MIXTURE else weights}
            row |= {"target": target, "seed": seed, "batch": batch}
            if key(row) in done or sampler not in options.samplers:
                continue
            rows.append({**row, **transfer_host.drawn(**row)})
            write(options.results, rows)
            print(json.dumps(rows[-1]), flush=True)


PARTS = ("satisfied", "clean")
Cell = dict[str, float]


def shares(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int, bool], Cell]:
    """Satisfied and clean shares over seeds, and how many pictures, of each cell of the plan."""
    found = {}
    for cell in plan():
        own = [row for row in rows if (row["sampler"], row["steps"], row["guided"]) == cell]
        count = sum(row["batch"] for row in own)
        if count:
            parts = {part: sum(row[part] for row in own) / count for part in PARTS}
            found[cell] = {**parts, "pictures": count}
    return found


def _line(cell: tuple[str, int, bool], found: Mapping[tuple[str, int, bool], Cell]) -> str:
    sampler, steps, _ = cell
    plain = found.get((sampler, steps, False))
    own = " | ".join(f"{found[cell][part]:.2f}" for part in PARTS)
    other = " | ".join("" if plain is None else f"{plain[part]:.2f}" for part in PARTS)
    return f"| {sampler} | {steps} | {own} | {found[cell]['pictures']} | {other} |"


def section(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The part of the page about one strength for all, in Markdown; empty without results."""
    lines: list[str] = []
    for target in dict.fromkeys(row["target"] for row in rows):
        found = shares([row for row in rows if row["target"] == target])
        lines += [
            f"### {target}",
            "",
            "| sampler | steps | satisfied | clean | pictures | unguided: satisfied | clean |",
            "|---|---|---|---|---|---|---|",
            *(_line(cell, found) for cell in found if cell[2]),
            "",
        ]
    return [*INTRODUCTION, *lines, *NOTES, ""] if rows else []


def main() -> int:
    """Measure, in ComfyUI's own python."""
    options = _options()
    if os.environ.get("EG_INSIDE"):
        run(options)
        return 0
    host = next(iter(hosts.find()), None)
    if host is None:
        sys.exit("bench.transfer: no ComfyUI found: set COMFYUI_PATH to the folder of main.py")
    variables = {"COMFYUI_PATH": str(host.path), "EG_INSIDE": "1"}
    command = [str(environment.of(host)), "-m", "bench.transfer", *sys.argv[1:]]
    return subprocess.run(
        command, cwd=hosts.CHECKOUT, env={**os.environ, **variables}, check=False
    ).returncode


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.transfer", description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=32, help="for each target and cell")
    parser.add_argument("--batch", type=int, default=8, help="pictures drawn at once")
    targets = [MIXTURE, "red", "circle", "position"]
    parser.add_argument("--targets", nargs="+", choices=targets, default=targets)
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--results", type=Path, default=RESULTS, help="finished batches")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
