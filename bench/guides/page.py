"""The page of the guides' measurements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from bench import markdown
from bench.guides.task import Figures, Task
from bench.guides.tasks import TASKS
from bench.records import Row

HEAD = ("task", "bound", "figure", "before", "guided", "holds", "images", "s/image")
PAGE = """\
# What the guides do on Shapes

Written by `make bench-guides`: CFG 1, weights {weights} (U-Net, VAE and text encoder). Every image
has its own seed and its own target (detection: every batch). The oracle judges from pixels; no
network takes part. Before: the measured image (restorations; enlarged bicubically where it is
small), the source (translation), or the unguided sample of the same seed, prompt and sampler.
Figures are mean / median; seconds are those of one CPU core.

{table}

{missing}## Settings

{settings}
"""


def page(rows: Sequence[Row], weights: str) -> str:
    """The whole page in Markdown."""
    found = {task: [row for row in rows if row["task"] == task.name] for task in TASKS}
    lines = [line for task, own in found.items() if own for line in _lines(task, own)]
    missing = ", ".join(task.name for task, own in found.items() if not own)
    return PAGE.format(
        weights=weights,
        table="\n".join(markdown.table(HEAD, lines)),
        missing=f"Not measured with these weights yet: {missing}.\n\n" if missing else "",
        settings="\n".join(f"* {task.name}: {recipe(task)}" for task, own in found.items() if own),
    )


def recipe(task: Task) -> str:
    """Energy, rule and sampler of a task, in words."""
    return f"{task.recipe}; {_sampler(task)}"


def joined(rows: Sequence[Row], when: str) -> Figures:
    """Figures of all batches of a task."""
    names = rows[0][when]
    return {name: torch.tensor([v for row in rows for v in row[when][name]]) for name in names}


def _lines(task: Task, rows: Sequence[Row]) -> Iterator[list[str]]:
    before, after = joined(rows, "before"), joined(rows, "after")
    count = len(next(iter(after.values())))
    seconds = sum(row["seconds"] for row in rows) / len(rows)
    start = [task.asks, task.bound]
    end = ["yes" if task.met(before, after) else "no", str(count), f"{seconds:.1f}"]
    for name in after:
        yield [*start, name, _two(before[name]), _two(after[name]), *end]
        start, end = [""] * len(start), [""] * len(end)


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
    if own.tries > 1:
        first, last = own.tried
        parts.append(f"{own.tries} tries from {first:.0%} to {last:.0%}")
    if own.eta:
        parts.append(f"eta {own.eta:g}")
    if own.decoder != "vae":
        parts.append(f"decoder {own.decoder}")
    return ", ".join(parts)
