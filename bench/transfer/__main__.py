"""Does one strength suit every sampler and every number of steps? Measured in a real ComfyUI.

    make bench-transfer
    python -m bench.transfer --images 32 --targets red circle

KSampler (Guided) with its default widgets, at CFG 1, is asked for labels of the Shapes classifier
with an empty prompt, and for the place of a big red circle; the oracle judges from pixels. The
target mixture is a model whose answers are known, which costs next to nothing. Each finished batch
is kept in bench/results/transfer.json, so that a run that was stopped continues where it was; the
page is written by `python -m bench.quality --render`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import command, records
from bench.records import Row
from bench.transfer.page import MIXTURE, RESULTS, SAMPLERS, TARGETS, plan, weights_of

DRAWS = 1000


def jobs(options: argparse.Namespace) -> list[Row]:
    """Every batch asked for."""
    weights = {target: weights_of(target) for target in TARGETS}
    starts = {target: range(0, options.images, options.batch) for target in TARGETS}
    starts[MIXTURE] = range(1)
    return [
        {"sampler": sampler, "steps": steps, "guided": guided, "weights": weights[target]}
        | {"target": target, "seed": seed, "batch": DRAWS if target == MIXTURE else options.batch}
        for target in options.targets
        for seed in starts[target]
        for sampler, steps, guided in plan()
        if sampler in options.samplers
    ]


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="bench.transfer", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--images", "--pictures", type=command.positive, default=32, help="of each target and cell"
    )
    parser.add_argument("--batch", type=command.positive, default=8, help="images sampled at once")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    parser.add_argument("--results", type=Path, default=RESULTS, help="finished batches")
    return parser.parse_args(arguments)


def main() -> int:
    """Measure what is missing, in ComfyUI's own python."""
    options = options_of()
    if not os.environ.get("EG_INSIDE"):
        return command.in_comfyui("bench.transfer", sys.argv[1:], {"EG_INSIDE": "1"})
    from bench.transfer import batches

    rows = records.read(options.results)
    records.complete(options.results, rows, jobs(options), lambda job: batches.measured(**job))
    return 0


if __name__ == "__main__":
    command.run(main, "python -m bench.transfer")
