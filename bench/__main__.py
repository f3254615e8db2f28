"""Measure what guidance costs: guided steps against plain ones, interleaved in one process.

    make bench
    python -m bench --case shapes --repeats 5

Runs inside ComfyUI where there is one, else on diffusers. Writes out/bench/report.json.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tools import environment, hosts


def main() -> int:
    """Find the host, then measure in a python that has its packages."""
    try:
        host = next(iter(hosts.find()), None)
    except ValueError as error:
        sys.exit(f"make bench: {error}")
    python = environment.of(host) if host else environment.own()
    variables = {"COMFYUI_PATH": str(host.path)} if host else {}
    command = [str(python), "-m", "bench.measure", *sys.argv[1:]]
    return subprocess.run(
        command, cwd=hosts.CHECKOUT, env={**os.environ, **variables}, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
