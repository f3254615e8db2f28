"""Guide Shapes in 4 and 8 steps, by its LoRA for few steps at CFG 1; judged from pixels.

    python -m bench.few_steps
    python -m bench.few_steps --task position --seeds 32

Each finished batch is kept in bench/results/few_steps.json, so that a run that was stopped
continues where it was; the section of docs/benchmark.md is written by
`python -m bench.quality --render`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict

import torch

from bench import command, records
from bench.few_steps import page
from bench.few_steps.cells import FIRST_SEED, SETTINGS, STEPS, TASKS, measured, models, weights
from bench.records import Row


def jobs(options: argparse.Namespace) -> list[Row]:
    """Every batch asked for, the first seeds of all cells first."""
    return [
        {"task": task.name, "steps": steps, **asdict(setting), "weights": weights(task, setting)}
        | {"seed": FIRST_SEED + seed, "batch": size}
        for seed, size in command.batches(options)
        for steps in options.steps
        for task in TASKS
        if task.name in options.task
        for setting in SETTINGS[task.name]
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and print the section."""
    names = [task.name for task in TASKS]
    parser = command.benchmark("few_steps", __doc__, names, "benchmark", batch=16)
    parser.set_defaults(seeds=128)
    parser.add_argument("--steps", nargs="+", type=int, choices=STEPS, default=STEPS)
    options = parser.parse_args(arguments)
    rows, tasks = records.read(options.results), {task.name: task for task in TASKS}
    if not options.render:
        torch.set_flush_denormal(True)
        own = models()
        measure = lambda job: measured(own[job["turbo"]], tasks[job["task"]], job)
        records.complete(options.results, rows, jobs(options), measure)
    print("\n".join(page.section(page.read())))


if __name__ == "__main__":
    command.run(main, "bench.few_steps")
