"""Measure what guidance costs: guided steps against plain ones, interleaved in one process.

    make bench
    python -m bench --case shapes --repeats 5

Runs inside ComfyUI where there is one, else on diffusers. Writes out/bench/report.json.
"""

from __future__ import annotations

import sys

from bench import command
from bench.cost import measure


def main() -> int:
    """Read the arguments here, and measure in a python that has the host's packages."""
    measure.options_of(sys.argv[1:])
    return command.in_comfyui("bench.cost.measure", sys.argv[1:], required=False)


if __name__ == "__main__":
    command.run(main, "make bench")
