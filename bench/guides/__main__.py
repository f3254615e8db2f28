"""Guide Shapes by every kind of guide, judge from the pixels, and write docs/guides.md.

    make bench-guides
    python -m bench.guides --task sr4 --seeds 16

Each finished batch is kept in bench/results/guides.json, so that a run that was stopped continues
where it was. Batches of other weights of Shapes, or of other settings, are dropped.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench import command, records
from bench.guides import page
from bench.guides.task import Figures, Task
from bench.guides.tasks import TASKS
from bench.records import MODEL, Row, fingerprint, fingerprint_with
from tools import diffusers_host


def identity(task: Task) -> dict[str, str]:
    """What makes a task's batches comparable: the weights that take part, and the settings."""
    weights = fingerprint_with(task.networks)
    return {"task": task.name, "weights": weights, "recipe": page.recipe(task)}


def read(path: Path) -> list[Row]:
    """Finished batches of today's weights and settings."""
    return records.read(path, [identity(task) for task in TASKS])


def measured(model: diffusers_host.Shapes, task: Task, seed: int, batch: int) -> dict[str, Any]:
    """Figures of a batch before and after guidance, and seconds for a guided image."""
    settings = replace(task.settings, seed=seed, batch=batch)
    asked = task.asked(model, seed, batch)
    start = None if asked.start is None else model.latents(asked.start)
    sampled = partial(
        diffusers_host.sample, model, positive=asked.prompts, start=start, noise=asked.noise
    )
    before = asked.before
    if before is None:
        before = model.images(sampled([], replace(settings, recurrences=1)))
    began = time.process_time()
    after = model.images(sampled(asked.rules, settings))
    seconds = (time.process_time() - began) / batch
    figures = {
        "before": lists_of(asked.figures_of(before)),
        "after": lists_of(asked.figures_of(after)),
    }
    return {"seconds": round(seconds, 2), **figures}


def lists_of(figures: Figures) -> dict[str, list[float]]:
    """Figures as the results keep them."""
    return {name: [round(v, 4) for v in values.tolist()] for name, values in figures.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, then write the page."""
    tasks = {task.name: task for task in TASKS}
    options = command.benchmark("guides", __doc__, list(tasks), "guides").parse_args(arguments)
    rows = read(options.results)
    if not options.render:
        model, sizes = diffusers_host.load(), dict(command.batches(options))
        jobs = [identity(tasks[name]) | {"seed": seed} for seed in sizes for name in options.task]
        measure = lambda job: measured(model, tasks[job["task"]], job["seed"], sizes[job["seed"]])
        records.complete(options.results, rows, jobs, measure)
    text = page.page(rows, fingerprint(*MODEL))
    options.page.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    command.run(main, "make bench-guides")
