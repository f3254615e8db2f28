"""Check what guidance costs on this GPU: models at their true sizes, with random weights.

    make gpu-check
    python -m bench.gpu_check --case sdxl flux1 --render

Each case runs in a process of its own, so that one that fails stops no other; in eight minutes
altogether, the most telling ones first. Writes bench/results/gpu.json, and its table into a page.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import command
from bench.gpu_check import page
from bench.gpu_check.cases import CASES, KERNELS, MODES, Case, jobs
from tools import environment, hosts
from tools.hosts import CHECKOUT

SECONDS = 460  # of eight minutes, with what starting and writing takes
LONGEST = 150  # of one case
LEAST = 15  # a case in less time would not get anywhere
TAIL = 300
LEFT_OUT = "leave this mode out"  # ends the reason why no case can run in a mode


def main() -> int:
    """Measure within the time, or only write the page again."""
    options = options_of()
    if not options.render:
        rows = measured(options)
        options.results.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    rows = json.loads(options.results.read_text(encoding="utf-8"))
    print("\n".join(page.table(rows)))
    if options.page:
        page.write(options.page, rows)
    return 0


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    keys = [case.key for case in CASES]
    parser = argparse.ArgumentParser(prog="bench.gpu_check", description=__doc__.splitlines()[0])
    parser.add_argument("--case", nargs="+", choices=keys, default=keys, help="only these")
    parser.add_argument("--mode", nargs="+", choices=MODES, default=list(MODES), help="only these")
    parser.add_argument("--seconds", type=command.positive, default=SECONDS, help="altogether")
    parser.add_argument("--tiny", action="store_true", help="small networks, to test the script")
    parser.add_argument("--results", type=Path, default=command.RESULTS / "gpu.json")
    parser.add_argument("--page", type=Path, help="write the table here, such as docs/cost.md")
    parser.add_argument("--render", action="store_true", help="only show the results again")
    parser.add_argument("--python", type=Path, help="of ComfyUI's environment, if not found")
    return parser.parse_args(arguments)


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each case and mode: what it found, or why it found nothing."""
    host = next(iter(hosts.find()), None)
    if host is None:
        raise ValueError("no ComfyUI found: set COMFYUI_PATH to the folder of main.py")
    python = options.python or environment.of(host)
    end = time.monotonic() + options.seconds
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for case, mode in jobs(options.case, options.mode):
            left = end - time.monotonic()
            absent = _absent(mode, rows)
            if absent or left < LEAST:
                rows.append({**_named(case, mode), "error": absent or "no time was left"})
                continue
            arguments = ["--tiny"] if options.tiny else []
            limit = min(left, LONGEST)
            rows.append(_row(python, host, case, mode, Path(folder), limit, arguments))
            print(f"{case.key}, {mode}: {rows[-1].get('error', 'done')}", flush=True)
        page.compare(rows, Path(folder))
    return rows


def _named(case: Case, mode: str) -> dict[str, Any]:
    return {"case": case.key, "mode": mode}


def _absent(mode: str, rows: Sequence[dict[str, Any]]) -> str:
    """Why a mode need not be tried, by what earlier rows saw; empty if it must."""
    without = [row["error"] for row in rows if row.get("mode") == mode and LEFT_OUT in _error(row)]
    if without:
        return str(without[0])
    seen = [row["installed"][mode] for row in rows if mode in row.get("installed", {})]
    return f"{KERNELS[mode]} is not installed" if mode in KERNELS and not any(seen) else ""


def _error(row: dict[str, Any]) -> str:
    return str(row.get("error", ""))


def _row(
    python: Path,
    host: hosts.Host,
    case: Case,
    mode: str,
    folder: Path,
    limit: float,
    arguments: Sequence[str],
) -> dict[str, Any]:
    """Run one job, and say how it ended beside what it found."""
    file = folder / page.file_of(case.key, mode)
    module = [str(python), "-m", "bench.gpu_check.inside", case.key, mode, str(file), *arguments]
    began, error = time.monotonic(), None
    try:
        done = subprocess.run(
            module,
            cwd=CHECKOUT,
            env={**os.environ, "COMFYUI_PATH": str(host.path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            error = lines[-1][:TAIL] if lines else f"ended with {done.returncode}"
    except subprocess.TimeoutExpired:
        error = f"stopped after {limit:.0f} s"
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    ended = {"seconds": round(time.monotonic() - began, 1), **({"error": error} if error else {})}
    return {**_named(case, mode), **found, **ended}


if __name__ == "__main__":
    command.run(main, "make gpu-check")
