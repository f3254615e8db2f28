"""Time every kind of step in turn, and compare each with the plain step beside it."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench import command
from bench.cost import memory, page

# Runs some steps and returns seconds for one.
Step = Callable[[], float]
CASES = {"shapes": 15, "sd15": 5}
# Image energies at true sizes, counted in operations; they need ComfyUI, and no memory.
COUNTED = ("sd15-clip", "sdxl-clip", "sd15-resnet", "sdxl-resnet")
PLAIN = "plain"


def measured(name: str, steps: Mapping[str, Step], repeats: int) -> dict[str, Any]:
    """Ratios to the plain step, seconds and peak memory of one case.

    The kinds of step follow each other within a repeat, so that a machine that slows down slows
    all of them; a ratio is the median of the ratios of the repeats.
    """
    peaks = {kind: memory.peak_mb(step) for kind, step in steps.items()}
    seconds: dict[str, list[float]] = {kind: [] for kind in steps}
    quiet = not sys.stderr.isatty()
    for _ in tqdm(range(repeats), desc=name, leave=False, disable=quiet):
        for kind, step in steps.items():
            seconds[kind].append(step())
    plain = seconds[PLAIN]
    ratios = {
        kind: statistics.median(t / p for t, p in zip(times, plain, strict=True))
        for kind, times in seconds.items()
        if kind != PLAIN
    }
    return {
        "name": name,
        "repeats": repeats,
        "ratios": ratios,
        "seconds": {kind: statistics.median(times) for kind, times in seconds.items()},
        "peak_mb": peaks,
    }


def table(case: Mapping[str, Any]) -> str:
    """One case in lines of text."""
    lines = [
        f"{case['name']}, median of {case['repeats']}",
        f"  {'':10} ratio     s/step   peak MB",
    ]
    for kind, seconds in case["seconds"].items():
        ratio = case["ratios"].get(kind, 1.0)
        lines.append(f"  {kind:10} {ratio:5.3f} {seconds:10.4f} {case['peak_mb'][kind]:9.0f}")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    options = options_of()
    if os.environ.get("COMFYUI_PATH"):
        from bench.cost import comfyui as host
    else:
        from bench.cost import embedded as host
    cases = []
    print(f"host: {host.NAME}, device: {host.DEVICE}, {host.THREADS} threads", flush=True)
    for name in options.case or (*CASES, *COUNTED):
        if name in CASES:
            cases.append(measured(name, host.steps(name), options.repeats or CASES[name]))
            print(table(cases[-1]), flush=True)
        elif os.environ.get("COMFYUI_PATH"):
            cases.append(_counted(name))
            print("\n".join(page.table(cases[-1:])), flush=True)
        else:
            print(f"{name}: needs ComfyUI, set COMFYUI_PATH to the folder of main.py")
    counted = [case for case in cases if "operations" in case]
    if options.page and counted:
        page.write(options.page, counted)
    report = {"host": host.NAME, "device": str(host.DEVICE), "cases": cases}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"written: {options.out / 'report.json'}")


def _counted(name: str) -> dict[str, Any]:
    """Operations of one case of image energies."""
    from bench.cost import images

    quiet = not sys.stderr.isatty()
    with tqdm(total=len(images.KINDS), desc=name, leave=False, disable=quiet) as bar:
        return images.measured(name, lambda kind: bar.update())


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", choices=(*CASES, *COUNTED), help="only this one")
    parser.add_argument("--repeats", type=command.positive, help="runs of each kind of step")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder to write into")
    parser.add_argument("--page", type=Path, help="page whose table of operations is written")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
