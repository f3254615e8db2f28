"""Edit images of Shapes by directions in h-space, and let the oracle judge them.

    python -m bench.hspace
    python -m bench.hspace --seeds 16 --task trained

A trained direction is kept in out/hspace, and made anew when its settings change. Each
finished batch is kept in bench/results/hspace.json. It needs a ComfyUI.
"""

from __future__ import annotations

from bench import command, records
from bench.hspace import edits
from bench.records import MODEL, fingerprint


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = command.benchmark("hspace", __doc__, list(edits.METHODS), "systems")
    options = parser.parse_args()
    weights = fingerprint(*MODEL)
    if not options.render:
        inside = ["--seeds", str(options.seeds), "--results", str(options.results), "--method"]
        if command.in_comfyui("bench.hspace.inside", [*inside, *options.task]):
            raise RuntimeError("images were not edited: see above")
    print(*edits.table(records.read(options.results, edits.known(weights))), sep="\n")


if __name__ == "__main__":
    command.run(main, "python -m bench.hspace")
