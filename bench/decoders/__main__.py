"""Guide Shapes by its fitted decoder and by its VAE; judged from pixels.

    python -m bench.decoders
    python -m bench.decoders --task "colour label" --seeds 64

Each finished batch is kept in bench/results/decoders.json, so that a run that was stopped continues
where it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench import command, markdown, records
from bench.decoders.cells import TASKS, cell, jobs, measured
from bench.records import Row
from tools.diffusers_host import DECODERS, load

HEAD = ("task", "asked", "decoder", "satisfied", "clean", "images")


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of Markdown: percentages with their standard errors."""
    lines = []
    for task in TASKS:
        for decoder in DECODERS:
            own = [row for row in rows if cell(task, decoder).items() <= row.items()]
            if own:
                shares = [
                    markdown.share([flag for row in own for flag in row[key]]) for key in PARTS
                ]
                count = sum(row["batch"] for row in own)
                lines.append([task.name, task.asks, decoder, *shares, str(count)])
    return markdown.table(HEAD, lines) if lines else []


PARTS = ("satisfied", "clean")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and print the table."""
    names = {task.name: task for task in TASKS}
    parser = command.benchmark("decoders", __doc__, list(names), "cost", batch=16)
    parser.set_defaults(seeds=128)
    options = parser.parse_args(arguments)
    rows = records.read(options.results)
    if not options.render:
        torch.set_flush_denormal(True)
        model, asked = load(), [names[name] for name in options.task]
        measure = lambda job: measured(model, names[job["task"]], job)
        records.complete(options.results, rows, jobs(asked, command.batches(options)), measure)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    command.run(main, "bench.decoders")
