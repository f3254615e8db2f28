"""What should an energy look at above CFG 1? Measured on Shapes; writes docs/cfg.md.

    python -m bench.cfg
    python -m bench.cfg --task label --cfg 4 --seeds 128
    python -m bench.cfg --task scale     # how obedient and how varied, over w
    python -m bench.cfg --task window    # what a window of CFG does to few steps

Each finished batch is kept in bench/results/cfg.json, so that a run that was stopped continues
where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from bench import command, records
from bench.cfg import page, spread, window
from bench.cfg.tasks import CFG_SCALES, TASKS, measured
from bench.records import MODEL, Row, fingerprint, fingerprint_with
from guidance_core.gradients import LOOKS
from tools import diffusers_host

AT_ESTIMATE = ("Manifold", "Backward, polyak")


def looks(name: str, rule: str) -> Sequence[str]:
    """What can differ: energies of attention read the positive branch; x0 has no slope."""
    if not rule or name == "position":
        return LOOKS[:1]
    return LOOKS[:2] if rule in AT_ESTIMATE else LOOKS


def jobs(options: argparse.Namespace) -> list[Row]:
    """Every batch asked for, the first seeds of all cells first."""
    cells = [
        {"task": name, "rule": rule, "strength": strength, "cfg": cfg, "look": look}
        for name in options.task
        if name in TASKS
        for cfg in options.cfg
        for rule, strengths in {"": (0.0,), **TASKS[name].strengths}.items()
        for strength in strengths
        for look in looks(name, rule)
    ]
    weights = {name: fingerprint_with(TASKS[name].networks) for name in TASKS}
    alone = [part for part in (spread, window) if part.NAME in options.task]
    return [job for part in alone for job in part.jobs(command.batches(options))] + [
        {**cell, "weights": weights[cell["task"]], "seed": seed, "batch": size}
        for seed, size in command.batches(options)
        for cell in cells
    ]


def _measured(model: diffusers_host.Shapes, job: Row) -> Row:
    """The rest of a batch's row."""
    for part in (spread, window):
        if job["task"] == part.NAME:
            return part.measured(model, job)
    return measured(model, TASKS[job["task"]], job)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, then write the page."""
    parser = command.benchmark("cfg", __doc__, [*TASKS, spread.NAME, window.NAME], "cfg", batch=16)
    parser.set_defaults(seeds=128)
    parser.add_argument("--cfg", nargs="+", type=float, choices=CFG_SCALES, default=CFG_SCALES)
    options = parser.parse_args(arguments)
    known = [{"weights": fingerprint_with(task.networks)} for task in TASKS.values()]
    rows = records.read(options.results, [*known, {"weights": fingerprint(*MODEL)}])
    if not options.render:
        model = diffusers_host.load()
        records.complete(options.results, rows, jobs(options), partial(_measured, model))
    text = page.page(rows)
    options.page.write_text(text, encoding="utf-8")
    scales = [row for row in rows if row["task"] == spread.NAME]
    if scales:
        spread.draw(spread.points(scales), options.page.with_suffix(".png"))
    print(text)


if __name__ == "__main__":
    command.run(main, "bench.cfg")
