"""Search the settings of a rule for a task of the quality benchmark, judged by the oracle.

    make tune TASK="colour label"
    python -m bench.quality.tune --task deblurring --search strength --workers 4
    python -m bench.quality.tune --task position --ray auto

Every finished batch is kept in out/tune/, so that a run that was stopped continues where it was;
batches of a worker that died are run again. Prints the rule's node with its widgets, and writes it
to out/tune/<task>-best.json.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from bench import command
from bench.quality.methods import OURS_UNTIL
from bench.quality.sampling import truth
from bench.quality.tasks import TASKS
from bench.quality.trial import value_of
from bench.quality.workers import spread
from guidance_core.procedures import search_spaces
from guidance_core.procedures.beam_search import Point, Search, Trial, Trials
from guidance_core.requirements import requirements_of

# The node of the rule that each search tunes.
NODES = {"strength": "EGRuleForward", "unified": "EGRuleUnified"}


def searched(options: argparse.Namespace) -> dict[str, Any]:
    """Search; returns what was found, as JSON has it."""
    kind, path = options.search, options.out / f"{_stem(options)}.json"
    task = next(task for task in TASKS if task.name == options.task)
    reads = bool(requirements_of([task.build(torch.device("cpu"), truth(0, 1), 1.0)]).captures)
    search = Search(
        search_spaces.coordinates(kind, at_estimate=not reads), options.width, options.rounds
    )
    sampling = {"batch": options.batch, "steps": options.steps, "weights": task.weights}
    trials = Trials(
        path, {"task": options.task, "names": [*search.settings_of(search.first)], **sampling}
    )

    def measure(missing: list[Trial]) -> Iterator[tuple[Trial, float]]:
        job = lambda point, seed: (
            *(options.task, kind, tuple(search.settings_of(point).items())),
            *(seed, options.batch, options.steps),
        )
        jobs = {job(*trial): trial for trial in missing}
        results = spread(value_of, list(jobs), options.workers, options.ray)
        for done, value in tqdm(results, total=len(jobs), desc="this round"):
            yield jobs[done], value

    seeds = range(0, options.seeds, options.batch)
    score = lambda points: trials.scores(points, seeds, measure)
    best, value = search.run(score)[0]
    return _found(kind, search, best, value)


def _found(kind: str, search: Search, best: Point, value: float) -> dict[str, Any]:
    settings = search.settings_of(best)
    return {
        "search": kind,
        "settings": settings,
        "value": value,
        "node": {"class_type": NODES[kind], "inputs": search_spaces.widgets(kind, settings)},
        "recurrences": int(settings.get("recurrences", 1)),
        "end_percent": settings.get("end", OURS_UNTIL),
    }


def _stem(options: argparse.Namespace) -> str:
    return f"{re.sub(r'[^a-z0-9]+', '-', options.task)}-{options.search}"


def main() -> None:
    """Search, then print."""
    options = _options()
    found = searched(options)
    path = options.out / f"{_stem(options)}-best.json"
    path.write_text(json.dumps({"task": options.task, **found}, indent=1) + "\n", encoding="utf-8")
    print(f"{options.task}: {found['value']:.3f} with {found['settings']}")
    print(json.dumps(found["node"], indent=1))
    print(f"recurrences {found['recurrences']} until {OURS_UNTIL:.0%} of the steps; see {path}")


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.quality.tune", description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=[t.name for t in TASKS], default=TASKS[0].name)
    parser.add_argument(
        "--search", choices=search_spaces.KINDS, default="unified", help="what to tune"
    )
    parser.add_argument("--seeds", type=command.positive, default=16, help="images for each score")
    parser.add_argument("--batch", type=command.positive, default=8, help="images sampled at once")
    parser.add_argument("--steps", type=command.positive, default=20, help="sampling steps")
    parser.add_argument("--width", type=int, default=2, help="candidates kept in each round")
    parser.add_argument("--rounds", type=int, default=6, help="rounds at most")
    parser.add_argument("--workers", type=command.positive, default=1, help="processes")
    parser.add_argument("--ray", help="a Ray cluster to use instead: its address, auto or local")
    parser.add_argument("--out", type=Path, default=Path("out/tune"), help="folder to write into")
    options = parser.parse_args(arguments)
    if options.seeds % options.batch:
        parser.error(f"--seeds must be a multiple of --batch, {options.batch}")
    return options


if __name__ == "__main__":
    command.run(main, "make tune")
