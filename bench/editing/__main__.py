"""Edit images of Shapes in every way, let the oracle judge them, and write docs/editing.md.

    make bench-editing
    python -m bench.editing --task "move one object" --seeds 8

Each finished batch of seeds is kept in bench/results/editing.json, so that a run that was stopped
continues where it was. Batches of other weights of Shapes, or of other settings, are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import command, records
from bench.editing import page
from bench.editing.task import Figures, Session
from bench.editing.tasks import TASKS
from bench.records import MODEL, Row, fingerprint
from tools import diffusers_host


def read(path: Path, weights: str) -> list[Row]:
    """Finished batches of these weights and of today's settings."""
    return records.read(path, [task.identity(weights) for task in TASKS])


def figures_of(rows: Sequence[Row]) -> Mapping[str, Sequence[Figures]]:
    """Figures of every image of every task."""
    return {
        task.name: [one for row in rows if row["task"] == task.name for one in row["rows"]]
        for task in TASKS
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, then write the page."""
    tasks = {task.name: task for task in TASKS}
    options = command.benchmark("editing", __doc__, list(tasks), "editing").parse_args(arguments)
    weights = fingerprint(*MODEL)
    rows = read(options.results, weights)
    if not options.render:
        session, sizes = Session(diffusers_host.load()), dict(command.batches(options))
        jobs = [tasks[name].identity(weights) | {"seed": s} for s in sizes for name in options.task]

        def measure(job: Row) -> Row:
            seeds = tuple(range(job["seed"], job["seed"] + sizes[job["seed"]]))
            return {"rows": tasks[job["task"]].figures_of(session, seeds)}

        records.complete(options.results, rows, jobs, measure)
    options.page.write_text(page.page(figures_of(rows), weights), encoding="utf-8")
    print(page.table(figures_of(rows)))


if __name__ == "__main__":
    command.run(main, "python -m bench.editing")
