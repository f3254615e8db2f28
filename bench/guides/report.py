"""The page of the guides' measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from bench.guides.desk import Figures, Task
from bench.guides.tasks import TASKS

HEAD = (
    "| task | bound | figure | before | guided | holds | pictures | s/picture |\n"
    "|---|---|---|---|---|---|---|---|"
)


def page(rows: Sequence[Mapping[str, Any]], weights: str) -> str:
    """The whole page in Markdown."""
    missing = [task.name for task in TASKS if all(row["task"] != task.name for row in rows)]
    found = [(task, [row for row in rows if row["task"] == task.name]) for task in TASKS]
    lines = [
        "# What the guides do on Shapes",
        "",
        f"Written by `make bench-guides`: CFG 1, weights {weights} (U-Net, VAE and text encoder). "
        "Every picture has its own",
        "seed and its own target (detection: every batch). The oracle judges from pixels; no "
        "network takes part. Before: the",
        "measured picture (restorations; enlarged bicubically where it is small), the source "
        "(translation), or the unguided",
        "sample of the same seed, prompt and sampler. Figures are mean / median; seconds are those "
        "of one CPU core.",
        "",
        HEAD,
        *(line for task, own in found if own for line in _lines(task, own)),
        "",
        *([f"Not measured with these weights yet: {', '.join(missing)}.", ""] if missing else []),
        "## Settings",
        "",
        *(f"* {task.name}: {recipe(task)}" for task, own in found if own),
        "",
    ]
    return "\n".join(lines)


def recipe(task: Task) -> str:
    """Energy, rule and sampler of a task, in words."""
    return f"{task.recipe}; {_sampler(task)}"


def joined(rows: Sequence[Mapping[str, Any]], when: str) -> Figures:
    """Figures of all batches of a task."""
    names = rows[0][when]
    return {name: torch.tensor([v for row in rows for v in row[when][name]]) for name in names}


def _lines(task: Task, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    before, after = joined(rows, "before"), joined(rows, "after")
    count = sum(len(next(iter(row["after"].values()))) for row in rows)
    seconds = sum(row["seconds"] for row in rows) / len(rows)
    lines = []
    for name in after:
        start = f"| {task.asks} | {task.bound} | " if not lines else "| | | "
        holds = ("yes" if task.met(before, after) else "no") if not lines else ""
        cost = f"{count} | {seconds:.1f} |" if not lines else "| |"
        lines.append(
            f"{start}{name} | {_two(before[name])} | {_two(after[name])} | {holds} | {cost}"
        )
    return lines


def _two(values: torch.Tensor) -> str:
    digits = 1 if values.abs().max() > 2 else 2
    return f"{values.mean():.{digits}f} / {values.median():.{digits}f}"


def _sampler(task: Task) -> str:
    own = task.settings
    parts = [f"{own.steps} steps", f"CFG {own.cfg:g}"]
    if own.denoise < 1:
        parts.append(f"denoise {own.denoise:g}")
    if own.recurrences > 1:
        parts.append(f"{own.recurrences} recurrences until {own.end_percent:.0%}")
    if own.eta:
        parts.append(f"eta {own.eta:g}")
    return ", ".join(parts)
