"""The section of docs/cost.md about guiding less, and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from bench import markdown
from bench.pace.cells import (
    CELLS,
    EXACT,
    FITTED,
    LATER,
    MANIFOLD,
    PLAIN,
    TASKS,
    UNSEEN,
    Cell,
    weights,
)
from bench.quality.tasks import Task
from bench.records import Row

SHOWN = (PLAIN, EXACT, FITTED, MANIFOLD)  # judged on seeds that had no part in choosing
START, END = "<!-- pace -->", "<!-- end of pace -->"
HEAD = ("rule", "decoder", "every", "moved", "depth")
TAIL = ("satisfied", "clean", "gradients", "cost", "images")


def known(rows: Sequence[Row]) -> list[Row]:
    """Batches of today's weights and cells."""
    cells = [
        {"task": task.name, **asdict(cell), "weights": weights(task, cell)}
        for task in dict.fromkeys((*TASKS, *LATER))
        for cell in CELLS
    ]
    return [row for row in rows if any(cell.items() <= row.items() for cell in cells)]


def of(rows: Sequence[Row], **wanted: Any) -> list[Row]:
    """Rows that agree with what is wanted."""
    return [row for row in rows if wanted.items() <= row.items()]


def joined(rows: Sequence[Row], name: str) -> list[float]:
    """A figure of every image."""
    return [float(value) for row in rows for value in row[name]]


def section(rows: Sequence[Row]) -> list[str]:
    """Lines of Markdown; none without results."""
    lines: list[str] = []
    for title, there, asked in (
        ("", _seen(rows), TASKS),
        (", on seeds that chose nothing, the sentence in 100 steps", _unseen(rows), LATER),
    ):
        table = [_line(cell, asked, of(there, **asdict(cell))) for cell in CELLS]
        tasks = " / ".join(task.asks for task in asked)
        head = (*HEAD, f"satisfied: {tasks}", *TAIL)
        filled = [line for line in table if line]
        lines += [f"### Measured{title}", "", *markdown.table(head, filled), ""] if filled else []
    return lines


def _seen(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["seed"] < UNSEEN]


def _unseen(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["seed"] >= UNSEEN]


def _line(cell: Cell, asked: Sequence[Task], rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    each = [markdown.share(joined(of(rows, task=task.name), "satisfied")) for task in asked]
    figures = [markdown.share(joined(rows, name)) for name in ("satisfied", "clean")]
    taken, cost = (fmean(joined(rows, name)) for name in ("taken", "cost"))
    count = str(sum(row["batch"] for row in rows))
    return [*_named(cell), " / ".join(each), *figures, f"{taken:.1f}", f"{cost:.2f}", count]


def _named(cell: Cell) -> list[str]:
    if not cell.rule:
        return ["unguided", "", "", "", ""]
    moved = f"{cell.moved:g}" if cell.moved else ""
    return [cell.rule, cell.decoder, str(cell.every), moved, f"{cell.depth:g}"]


def replaced(text: str, lines: Sequence[str]) -> str:
    """The page with these lines between the marks."""
    before, rest = text.split(START)
    after = rest.split(END)[1]
    return "\n".join([before + START, "", *lines, END + after])


def draw(rows: Sequence[Row], path: Path) -> None:
    """Satisfied images over what they cost, a point for each cell."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for cell in CELLS:
        there = of(_seen(rows), **asdict(cell))
        if there:
            x, y = (fmean(joined(there, name)) for name in ("cost", "satisfied"))
            error = (y * (1 - y) / len(joined(there, "satisfied"))) ** 0.5
            axes.errorbar(x, 100 * y, 100 * error, fmt="o", color=COLOURS[cell.decoder])
            axes.annotate(_label(cell), (x, 100 * y), (4, 4), textcoords="offset points", size=7)
    axes.axvline(1.25, color="0.7", linestyle=":")
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.set_xlabel("operations of a run, beside an unguided one")
    axes.set_ylabel("satisfied, %")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


COLOURS = {"vae": "#c44e52", "fitted": "#4c72b0", "rgb": "#55a868"}
TICKS = (1, 1.25, 1.5, 2, 3, 4, 6)


def _label(cell: Cell) -> str:
    if not cell.rule:
        return "unguided"
    parts = [cell.decoder, cell.rule * (cell.rule != "Forward")]
    parts += [f"every {cell.every}"] if cell.every > 1 else []
    parts += [f"moved {cell.moved:g}"] if cell.moved else []
    parts += [f"depth {cell.depth:g}"] if cell.depth < 1 else []
    return ", ".join(filter(None, parts))
