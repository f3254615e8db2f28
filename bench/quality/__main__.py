"""Sample every task by every method with the same seeds and budget, and write docs/benchmark.md.

    make bench-quality
    python -m bench.quality --seeds 8 --budget 40 --methods unguided ours

The budget is in evaluations of the model for one image, a backward pass counted as one more: each
method takes as many steps as it allows. Each finished batch of seeds is kept in
bench/results/quality.json, so that a run that was stopped continues where it was. Batches of other
weights of Shapes stay, but are not shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch

from bench import command, records
from bench.few_steps import page as few_steps
from bench.quality import page
from bench.quality.methods import METHODS
from bench.quality.sampling import measured
from bench.quality.tasks import TASKS
from bench.records import MODEL, Row, fingerprint
from bench.transfer import page as transfer
from tools import diffusers_host


def run(options: argparse.Namespace) -> None:
    """Sample what is missing."""
    tasks, methods = {task.name: task for task in TASKS}, {one.name: one for one in METHODS}
    jobs: list[Row] = [
        {"weights": tasks[name].weights, "task": name, "method": method}
        | {"seed": seed, "batch": batch, "budget": options.budget}
        for seed, batch in command.batches(options)
        for name in options.task
        for method in options.methods
    ]
    # Guidance that diverges leaves denormal numbers, ten times as slow on a CPU.
    torch.set_flush_denormal(True)
    model = diffusers_host.load()
    measure = lambda job: measured(model, tasks[job["task"]], methods[job["method"]], job)
    records.complete(options.results, records.read(options.results), jobs, measure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, then write the page."""
    names, methods = [task.name for task in TASKS], [method.name for method in METHODS]
    parser = command.benchmark("quality", __doc__, names, "benchmark", batch=4)
    parser.add_argument("--budget", type=command.positive, default=40, help="evaluations per image")
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    options = parser.parse_args(arguments)
    if not options.render:
        run(options)
    known = [{"task": t.name, "weights": t.weights, "budget": options.budget} for t in TASKS]
    cells = page.cells(page.shared(records.read(options.results, known)))
    more = transfer.section(transfer.read()) + few_steps.section(few_steps.read())
    text = page.page(cells, options.budget, fingerprint(*MODEL), more)
    options.page.write_text(text, encoding="utf-8")
    page.plot(cells, options.page.with_suffix(".png"))
    print(page.table(cells))


if __name__ == "__main__":
    command.run(main, "make bench-quality")
