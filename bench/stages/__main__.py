"""Morph, un-crop and enlarge scenes in ComfyUI, let the oracle judge them, write docs/stages.md.

    python -m bench.stages
    python -m bench.stages --task uncrop --seeds 8

Each finished batch of seeds is kept in bench/results/stages.json, so that a run that was stopped
continues where it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench import command, records
from bench.records import MODEL, fingerprint
from bench.stages import page
from bench.stages.tasks import TASKS, known


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, then write the page."""
    parser = command.benchmark("stages", __doc__, [task.name for task in TASKS], "stages")
    options = parser.parse_args(arguments)
    weights = fingerprint(*MODEL)
    if not options.render:
        inside = ["--task", *options.task, "--seeds", str(options.seeds)]
        inside += ["--results", str(options.results)]
        if command.in_comfyui("bench.stages.inside", inside):
            raise RuntimeError("not all was measured: see above")
    rows = records.read(options.results, known(weights))
    options.page.write_text(page.page(rows, weights), encoding="utf-8")
    print(*page.tables(rows), sep="\n")


if __name__ == "__main__":
    command.run(main, "python -m bench.stages")
