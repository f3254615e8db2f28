"""Edit pictures of Shapes in every way, let the oracle judge them, and write the table.

    make bench-editing
    python -m bench.editing --task "move one object" --seeds 8

Each finished batch of seeds is kept in bench/results/editing.json, so that a run that was stopped
goes on where it was. Batches of other weights of Shapes, or of other settings, are dropped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench.editing import report
from bench.editing.desk import Desk, Row, Task
from bench.editing.tasks import TASKS
from bench.records import MODEL, fingerprint
from tools.demo import diffusers_host

ROOT = Path(__file__).resolve().parents[2]
BATCH = 8

Batches = dict[str, dict[str, Any]]


def read(path: Path, weights: str) -> Batches:
    """Finished batches by task and first seed; those of other weights or settings are left out."""
    if not path.exists():
        return {}
    batches = json.loads(path.read_text(encoding="utf-8"))
    settings = {task.name: task.settings for task in TASKS}
    return {
        key: batch
        for key, batch in batches.items()
        if batch["weights"] == weights and settings.get(batch["task"]) == batch["settings"]
    }


def write(path: Path, batches: Batches) -> None:
    """Write all batches at once, so that a run that is killed leaves a whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = json.dumps(dict(sorted(batches.items())), indent=1) + "\n"
    half = path.with_suffix(".part")
    half.write_text(whole, encoding="utf-8")
    half.replace(path)


def name_of(task: Task, seed: int) -> str:
    """What a batch is called in the results."""
    return f"{task.name}, seeds from {seed}"


def run(options: argparse.Namespace, weights: str) -> Batches:
    """Measure what is missing."""
    batches = read(options.results, weights)
    tasks = [task for task in TASKS if task.name in options.task]
    jobs = [(task, seed) for seed in range(0, options.seeds, BATCH) for task in tasks]
    desk = Desk(diffusers_host.load())
    bar = tqdm(jobs, disable=not sys.stderr.isatty())
    for task, seed in bar:
        bar.set_description(task.name)
        if name_of(task, seed) in batches:
            continue
        rows = task.rows(desk, tuple(range(seed, min(seed + BATCH, options.seeds))))
        own = {"weights": weights, "task": task.name, "settings": task.settings, "rows": rows}
        batches[name_of(task, seed)] = own
        write(options.results, batches)
    return batches


def rows_of(batches: Batches) -> Mapping[str, Sequence[Row]]:
    """Rows of every task."""
    return {
        task.name: [
            row for batch in batches.values() if batch["task"] == task.name for row in batch["rows"]
        ]
        for task in TASKS
    }


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.editing", description=__doc__.splitlines()[0])
    names = [task.name for task in TASKS]
    parser.add_argument("--task", nargs="+", choices=names, default=names, help="only these")
    parser.add_argument("--seeds", type=int, default=64, help="pictures of each task")
    results = ROOT / "bench" / "results" / "editing.json"
    parser.add_argument("--results", type=Path, default=results, help="finished batches")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "editing.md")
    parser.add_argument("--render", action="store_true", help="only write the page anew")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    return options


def main() -> int:
    """Run, then render."""
    options = _options()
    weights = fingerprint(*MODEL)
    batches = read(options.results, weights) if options.render else run(options, weights)
    rows = rows_of(batches)
    options.page.write_text(report.page(rows, weights), encoding="utf-8")
    print(report.table(rows))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"python -m bench.editing: {error}")
