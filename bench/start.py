"""Measure what the pack adds to the start of ComfyUI: processor seconds with and without it.

    make bench-start
    python -m bench.start --starts 5

Starts the first ComfyUI found on the CPU, by turns with an empty folder of packs and with this
pack in it, until its server would listen. Prints the medians, and fails above the limit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import command
from tools import environment, hosts

# Seconds that the start of ComfyUI may grow by.
LIMIT = 0.5


def main() -> int:
    """Start it several times each way, and print the medians."""
    parser = argparse.ArgumentParser(prog="bench.start", description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=command.positive, default=5, help="starts of each kind")
    starts = parser.parse_args().starts
    host = next(iter(hosts.find()), None)
    if host is None:
        raise ValueError("no ComfyUI found: set COMFYUI_PATH to the folder of main.py")
    times: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        bases = {packed: _base(Path(folder), packed) for packed in times}
        for _ in range(starts + 1):
            for packed, base in bases.items():
                times[packed].append(_seconds(host, base))
    # The first start of each kind compiles modules, and is left out.
    plain, packed = (statistics.median(times[kind][1:]) for kind in (False, True))
    print(f"ComfyUI {host.version} alone {plain:.2f} s, with the pack {packed:.2f} s of processor")
    print(f"{packed / plain:.3f} x, {packed - plain:+.2f} s (limit {LIMIT} s)")
    return int(packed - plain > LIMIT)


def _base(folder: Path, packed: bool) -> Path:
    """A folder for ComfyUI's files, with or without the pack."""
    base = folder / ("packed" if packed else "plain")
    (base / "custom_nodes").mkdir(parents=True)
    if packed:
        (base / "custom_nodes" / "energy-guidance").symlink_to(hosts.CHECKOUT)
    return base


def _seconds(host: hosts.Host, base: Path) -> float:
    """Processor seconds of one start."""
    before = os.times()
    options = ("--cpu", "--quick-test-for-ci", "--base-directory", str(base))
    subprocess.run(
        [str(environment.of(host)), "main.py", *options],
        cwd=host.path,
        env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


if __name__ == "__main__":
    sys.exit(command.run(main, "make bench-start"))
