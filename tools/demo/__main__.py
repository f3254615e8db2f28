"""See the pack work, and measure it: guided images of Shapes, judged from their pixels.

    make demo
    python -m tools.demo --samples 32 --host diffusers

Writes out/demo/contact_sheet.png and out/demo/report.json and prints a table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from guidance_core.shapes import oracle
from tools import environment, hosts
from tools.demo import plan, sheet

ROWS = 4
NO_COMFYUI = (
    "no ComfyUI found and none available from GitHub: running on the embedded host, diffusers"
)


class Host(Protocol):
    """What draws a job: images, and seconds for a step of one image."""

    name: str

    def draw(self, job: plan.Job, tick: Any, /) -> tuple[Tensor, float]:
        """Draw; `tick` gets the fraction that is done."""

    def close(self) -> None:
        """Stop what was started."""


def main() -> int:
    """Draw every task in every column, then report."""
    options = _options()
    host = _host(options.host)
    print(f"host: {host.name}", flush=True)
    blocks: dict[plan.Task, sheet.Block] = {}
    tasks = []
    try:
        for task in [task for task in plan.TASKS if task.name in options.task]:
            results = {column.name: _drawn(host, task, column, options) for column in plan.COLUMNS}
            blocks[task] = {name: (shown, hits) for name, (shown, hits, _) in results.items()}
            columns = {name: figures for name, (_, _, figures) in results.items()}
            tasks.append(_task(task, options.samples, columns))
            _print(tasks[-1])
    finally:
        host.close()
    rows = [_row(options, index) for index in range(min(ROWS, options.samples))]
    sheet.write(options.out / "contact_sheet.png", blocks, rows)
    report = {"host": host.name, "tasks": tasks}
    (options.out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten: {options.out / 'contact_sheet.png'}, {options.out / 'report.json'}")
    return 0


def _drawn(
    host: Host, task: plan.Task, column: plan.Column, options: argparse.Namespace
) -> tuple[Tensor, list[bool], dict[str, float]]:
    """Images of one cell of the table, which of them satisfy, and the figures."""
    images, seconds = [], []
    for first in range(0, options.samples, options.batch):
        batch = min(options.batch, options.samples - first)
        job = plan.Job(task, column, options.seed + first, batch, options.steps * task.times)
        drawn, second = host.draw(job, _bar(f"{task.name}, {column.name}", first, options.samples))
        images.append(drawn)
        seconds += [second] * batch
    shown = torch.cat(images)
    verdicts = oracle.judge(shown)
    hits = [task.satisfied(verdict) for verdict in verdicts]
    figures = {
        "satisfied": sum(hits) / len(hits),
        "clean": sum(verdict.clean for verdict in verdicts) / len(verdicts),
        "seconds_per_step": sum(seconds) / len(seconds),
    }
    return shown, hits, figures


def _row(options: argparse.Namespace, index: int) -> str:
    """Seed of the batch that an image is of, and its place in it."""
    within = index % options.batch
    return f"seed {options.seed + index - within} #{within + 1}"


def _task(task: plan.Task, samples: int, columns: dict[str, dict[str, float]]) -> dict[str, Any]:
    return {"name": task.name, "target": task.target, "samples": samples, "columns": columns}


def _print(task: dict[str, Any]) -> None:
    print(f"\n{task['name']}: {task['target']!r}, {task['samples']} samples")
    print(f"  {'':28} {'satisfied':>9} {'clean':>7} {'s/step':>8}  (a step of one image)")
    for name, figures in task["columns"].items():
        shares = f"{figures['satisfied']:9.2f} {figures['clean']:7.2f}"
        print(f"  {name:28} {shares} {figures['seconds_per_step']:8.4f}", flush=True)


def _bar(title: str, first: int, total: int) -> Any:
    def tick(part: float) -> None:
        end = "\r" if part < 1 else " " * 20 + "\r"
        print(f"  {title}: from image {first + 1} of {total}, {part:4.0%}", end=end, flush=True)

    return tick if sys.stdout.isatty() else lambda part: None


def _host(choice: str) -> Host:
    found = None if choice == "diffusers" else next(iter(hosts.find()), None) or hosts.clone()
    if found:
        from tools.demo.comfyui import ComfyUI

        return ComfyUI(found, environment.of(found))
    if choice == "comfyui":
        sys.exit("no ComfyUI found: set COMFYUI_PATH to the folder with its main.py")
    if choice == "auto":
        print(NO_COMFYUI)
    from tools.demo.embedded import Embedded

    return Embedded()


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=4, help="images in each cell of the table")
    parser.add_argument("--batch", type=int, default=8, help="images drawn at once")
    parser.add_argument(
        "--steps", type=int, default=30, help="sampling steps; of a sentence three times as many"
    )
    parser.add_argument("--seed", type=int, default=7, help="seed of the first batch")
    parser.add_argument("--host", choices=("auto", "comfyui", "diffusers"), default="auto")
    names = [task.name for task in plan.TASKS]
    parser.add_argument("--task", nargs="+", choices=names, default=names, help="only these")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder to write into")
    options = parser.parse_args(arguments)
    if min(options.samples, options.batch, options.steps) < 1:
        parser.error("--samples, --batch and --steps must be at least 1")
    return options


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"make demo: {error}")
