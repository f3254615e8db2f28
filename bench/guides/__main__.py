"""Guide Shapes by every kind of guide, judge the pictures from their pixels, and write the page.

    make bench-guides
    python -m bench.guides --task sr4 --seeds 16

Each finished batch is kept in bench/results/guides.json, so that a run that was stopped goes on
where it was. Batches of other weights of Shapes, or of other settings, are dropped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from bench import records
from bench.guides import report
from bench.guides.desk import Figures, Task
from bench.guides.tasks import TASKS
from bench.records import MODEL, fingerprint, taking_part, write
from tools.demo import diffusers_host

ROOT = Path(__file__).resolve().parents[2]


def identity(task: Task) -> dict[str, str]:
    """What makes a task's batches comparable: the weights that take part, and the settings."""
    weights = taking_part(task.networks)
    return {"task": task.name, "weights": weights, "recipe": report.recipe(task)}


def read(path: Path) -> list[dict[str, Any]]:
    """Finished batches of today's weights and settings."""
    known = [identity(task) for task in TASKS]
    return [row for row in records.read(path) if any(one.items() <= row.items() for one in known)]


def measured(model: diffusers_host.Shapes, task: Task, seed: int, batch: int) -> dict[str, Any]:
    """Figures of a batch before and after guidance, and seconds a guided picture."""
    settings = replace(task.settings, seed=seed, batch=batch)
    asked = task.asked(model, seed, batch)
    start = None if asked.start is None else model.encoded(asked.start)
    drawn = partial(
        diffusers_host.sample, model, positive=asked.prompts, start=start, noise=asked.noise
    )
    before = asked.before
    if before is None:
        plain = replace(settings, recurrences=1)
        before = shown(model, drawn([], plain))
    began = time.process_time()
    after = shown(model, drawn(asked.rules, settings))
    seconds = (time.process_time() - began) / batch
    figures = {
        "before": lists_of(asked.figures_of(before)),
        "after": lists_of(asked.figures_of(after)),
    }
    return {"seconds": round(seconds, 2), **figures}


def shown(model: diffusers_host.Shapes, latents: Tensor) -> Tensor:
    """The pictures of latents."""
    with torch.no_grad():
        return model.decode(latents).cpu()


def lists_of(figures: Figures) -> dict[str, list[float]]:
    """Figures as the results keep them."""
    return {name: [round(v, 4) for v in values.tolist()] for name, values in figures.items()}


def run(options: argparse.Namespace) -> None:
    """Sample what is missing, one row a batch."""
    rows = read(options.results)
    done = {(row["task"], row["seed"]) for row in rows}
    model = diffusers_host.load()
    tasks = [task for task in TASKS if task.name in options.task]
    jobs = [(task, seed) for seed in range(0, options.seeds, options.batch) for task in tasks]
    for task, seed in (bar := tqdm(jobs, disable=not sys.stderr.isatty())):
        if (task.name, seed) in done:
            continue
        bar.set_description(task.name)
        size = min(options.batch, options.seeds - seed)
        row = identity(task) | {"seed": seed}
        rows.append(row | measured(model, task, seed, size))
        write(options.results, rows)


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.guides", description=__doc__.splitlines()[0])
    names = [task.name for task in TASKS]
    parser.add_argument("--task", nargs="+", choices=names, default=names)
    parser.add_argument("--seeds", type=int, default=64, help="pictures of each task")
    parser.add_argument("--batch", type=int, default=8, help="pictures drawn at once")
    results = ROOT / "bench" / "results" / "guides.json"
    parser.add_argument("--results", type=Path, default=results, help="finished batches")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "guides.md")
    parser.add_argument("--render", action="store_true", help="only write the page anew")
    options = parser.parse_args(arguments)
    if min(options.seeds, options.batch) < 1:
        parser.error("--seeds and --batch must be at least 1")
    return options


def main() -> int:
    """Run, then render."""
    options = _options()
    if not options.render:
        run(options)
    page = report.page(read(options.results), fingerprint(*MODEL))
    options.page.write_text(page, encoding="utf-8")
    print(page)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"make bench-guides: {error}")
