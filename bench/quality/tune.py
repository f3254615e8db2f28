"""Tune the unified rule for a task of the quality benchmark.

    make tune TASK="colour label"
    python -m bench.quality.tune --task deblurring --seeds 16 --workers 4

Writes out/tune/<task>.json after every round, whole or not at all; a run that was stopped goes on
where it was. Prints the widgets of Rule: Unified.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from pathlib import Path

import torch
from tqdm import tqdm

from bench.quality import __main__ as quality
from bench.quality.methods import OURS_UNTIL, Method
from bench.quality.tasks import TASKS
from guidance_core.rules.unified import Unified
from guidance_core.schedules import PercentWindow
from guidance_core.tuning import TFG, Point, Search
from tools.demo import diffusers_host

STRENGTH = PercentWindow(0.0, OURS_UNTIL)


@cache
def _model() -> diffusers_host.Shapes:
    torch.set_num_threads(1)
    return diffusers_host.load()


def method(point: Point) -> Method:
    """The unified rule with rho, mu, gamma and recurrences."""
    rho, mu, gamma, recurrences = point
    settings = {"rho": rho, "mu": mu, "gamma": gamma, "samples": 1}
    return Method(
        "tuned",
        lambda energy, task: [Unified(energy, STRENGTH, **settings)],
        int(recurrences),
        OURS_UNTIL,
    )


def points_of(job: tuple[str, Point, int, int, int]) -> float:
    """Score of one batch of seeds: pictures that are satisfied and clean, or PSNR."""
    name, point, seed, batch, steps = job
    task = next(task for task in TASKS if task.name == name)
    settings = {"seed": seed, "batch": batch, "steps": steps}
    pictures, _, _ = quality.drawn(_model(), task, method(point), settings)
    found = quality.figures(task, seed, pictures)
    if not task.asks:
        return float(found["psnr"])
    pairs = zip(found["satisfied"], found["clean"], strict=True)
    return sum(satisfied and clean for satisfied, clean in pairs) / batch


def main() -> int:
    """Search, then print."""
    options = _options()
    task = re.sub(r"\W+", "-", options.task)
    path = options.out / f"{task}-{options.seeds}-seeds-{options.steps}-steps.json"
    search = Search(TFG, options.width, options.rounds).resumed(path)
    seeds = range(0, options.seeds, options.batch)
    with ProcessPoolExecutor(options.workers) as pool:

        def score(points: Sequence[Point]) -> list[float]:
            jobs = [
                (options.task, p, s, options.batch, options.steps)
                for p, s in product(points, seeds)
            ]
            values = list(tqdm(pool.map(points_of, jobs), total=len(jobs), desc="this round"))
            size = len(seeds)
            return [sum(values[k : k + size]) / size for k in range(0, len(values), size)]

        ranked = search.run(score, lambda scores: search.save(path, scores))
    best, value = ranked[0]
    named = {c.name: number for c, number in zip(search.coordinates, best, strict=True)}
    print(f"{options.task}: {value:.3f} with {named}")
    print(f"Rule: Unified, relative, strength 1, samples 1, until {OURS_UNTIL:.0%}; all of {path}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.quality.tune", description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=[t.name for t in TASKS], default=TASKS[0].name)
    parser.add_argument("--seeds", type=int, default=16, help="pictures for each score")
    parser.add_argument("--batch", type=int, default=8, help="pictures drawn at once")
    parser.add_argument("--steps", type=int, default=20, help="sampling steps")
    parser.add_argument("--width", type=int, default=2, help="candidates kept in each round")
    parser.add_argument("--rounds", type=int, default=6, help="rounds at most")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=Path("out/tune"), help="folder to write into")
    options = parser.parse_args()
    if min(options.seeds, options.batch, options.steps, options.workers) < 1:
        parser.error("--seeds, --batch, --steps and --workers must be at least 1")
    return options


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"make tune: {error}")
