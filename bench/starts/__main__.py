"""Guide Shapes by the one-node starts at each strength, and write the table of docs/strengths.md.

    python -m bench.starts
    python -m bench.starts --task layout --images 16

Runs the nodes themselves in a real ComfyUI; the oracle judges from pixels. Each finished batch is
kept in bench/results/starts.json, so that a run that was stopped continues where it was. Batches of
other weights of Shapes, or of other settings, are dropped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from bench import command, records
from bench.records import Row
from bench.starts import page
from bench.starts.tasks import TASKS


def jobs(options: argparse.Namespace) -> list[Row]:
    """Every batch asked for."""
    seeds = range(0, options.images, options.batch)
    return [
        TASKS[name].identity | {"amount": amount, "seed": seed, "batch": options.batch}
        for seed in seeds
        for name in options.task
        for amount in options.amounts
    ]


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="bench.starts", description=__doc__.splitlines()[0])
    parser.add_argument("--task", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--images", type=command.positive, default=64, help="of each task")
    parser.add_argument("--batch", type=command.positive, default=8, help="images sampled at once")
    parser.add_argument("--amounts", nargs="+", type=float, default=page.AMOUNTS)
    parser.add_argument("--render", action="store_true", help="only write the table again")
    return parser.parse_args(arguments)


def main() -> int:
    """Measure what is missing, in ComfyUI's own python, then write the table."""
    options = options_of()
    if not options.render and not os.environ.get("EG_INSIDE"):
        return command.in_comfyui("bench.starts", sys.argv[1:], {"EG_INSIDE": "1"})
    rows = page.read()
    if not options.render:
        from bench.starts import batches

        records.complete(page.RESULTS, rows, jobs(options), batches.measured)
    page.write(rows)
    return 0


if __name__ == "__main__":
    command.run(main, "python -m bench.starts")
