"""Guide Shapes less often, less deep or by a cheaper decoder: what is obeyed, and what it costs.

    make bench-cost
    python -m bench.pace --task "shape label" --seeds 32

Each finished batch is kept in bench/results/cost.json, so that a run that was stopped continues
where it was. Costs are counted in operations. Writes a section of docs/cost.md, and draws
docs/cost.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict

import torch

from bench import command, records
from bench.pace import page
from bench.pace.cells import CELLS, FIRST_SEED, LATER, TASKS, UNSEEN, measured, weights
from bench.records import Row


def jobs(options: argparse.Namespace) -> list[Row]:
    """Every batch asked for, the first seeds of all cells first."""
    first = UNSEEN if options.unseen else FIRST_SEED
    return [
        {"task": task.name, **asdict(cell), "weights": weights(task, cell)}
        | {"seed": first + seed, "batch": size}
        for seed, size in command.batches(options)
        for cell in (page.SHOWN if options.unseen else CELLS)
        for task in (LATER if options.unseen else TASKS)
        if task.name in options.task
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, then write the section and draw it."""
    names = list(dict.fromkeys(task.name for task in (*TASKS, *LATER)))
    parser = command.benchmark("cost", __doc__, names, "cost", batch=16)
    parser.add_argument(
        "--unseen", action="store_true", help="the proposed defaults, on seeds that chose nothing"
    )
    parser.set_defaults(seeds=128)
    options = parser.parse_args(arguments)
    rows = records.read(options.results)
    if not options.render:
        torch.set_flush_denormal(True)
        records.complete(options.results, rows, jobs(options), measured)
    text = options.page.read_text(encoding="utf-8")
    lines = page.section(page.known(rows))
    options.page.write_text(page.replaced(text, lines), encoding="utf-8")
    page.draw(page.known(rows), options.page.with_suffix(".png"))
    print("\n".join(lines))


if __name__ == "__main__":
    command.run(main, "make bench-cost")
