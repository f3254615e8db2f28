"""Edit images of Shapes in every way, let the oracle judge them, and write docs/editing.md.

    make bench-editing
    python -m bench.editing --task "move one object" --seeds 8

Each finished batch of seeds is kept in bench/results/editing.json, so that a run that was stopped
continues where it was. Batches of other weights of Shapes, or of other settings, are dropped. The
task "swap a word" needs a ComfyUI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import command, records
from bench.editing import page, swaps
from bench.editing.task import Figures, Session
from bench.editing.tasks import TASKS
from bench.records import MODEL, Row, fingerprint
from tools import diffusers_host


def read(path: Path, weights: str) -> list[Row]:
    """Finished batches of these weights and of today's settings."""
    known = [task.identity(weights) for task in TASKS]
    return records.read(path, [*known, *swaps.known()])


def figures_of(rows: Sequence[Row]) -> Mapping[str, Sequence[Figures]]:
    """Figures of every image of every task."""
    return {
        task.name: [one for row in rows if row["task"] == task.name for one in row["rows"]]
        for task in TASKS
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, then write the page."""
    tasks = {task.name: task for task in TASKS}
    names = [*tasks, swaps.TASK]
    options = command.benchmark("editing", __doc__, names, "editing").parse_args(arguments)
    weights = fingerprint(*MODEL)
    rows = read(options.results, weights)
    if not options.render:
        session, sizes = Session(diffusers_host.load()), dict(command.batches(options))
        jobs = [
            tasks[name].identity(weights) | {"seed": s}
            for s in sizes
            for name in options.task
            if name in tasks
        ]

        def measure(job: Row) -> Row:
            seeds = tuple(range(job["seed"], job["seed"] + sizes[job["seed"]]))
            return {"rows": tasks[job["task"]].figures_of(session, seeds)}

        records.complete(options.results, rows, jobs, measure)
        if swaps.TASK in options.task:
            # Of both swaps together as many as of another task.
            seeds = str(max(options.seeds // len(swaps.SWAPS), 1))
            inside = ["--seeds", seeds, "--results", str(options.results)]
            if command.in_comfyui("bench.editing.inside", inside):
                raise RuntimeError("words were not swapped: see above")
            rows = read(options.results, weights)
    swapped = [row for row in rows if row["task"] == swaps.TASK]
    options.page.write_text(page.page(figures_of(rows), weights, swapped), encoding="utf-8")
    print(page.table(figures_of(rows)), *swaps.table(swapped), sep="\n")


if __name__ == "__main__":
    command.run(main, "python -m bench.editing")
