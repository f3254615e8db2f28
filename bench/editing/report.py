"""The page of the editing benchmark."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from bench.editing.desk import Figure, Row
from bench.editing.tasks import TASKS

COLUMNS = ("task", "figure", "asked", "unguided", "guided", "pictures", "steps", "settings")
# A ratio of shares is told from this many pictures on that show what is asked, on either side.
ENOUGH = 5
UP = {"share": True, "mean": True, "median": False}


def value(figure: Figure, rows: Sequence[Row], side: str) -> float | None:
    """A figure of one side, unguided or guided; None where it was not measured."""
    found = [float(row[side][figure.key]) for row in rows if figure.key in row[side]]
    if not found:
        return None
    return statistics.median(found) if figure.kind == "median" else statistics.fmean(found)


def asked(figure: Figure) -> str:
    """The bound in words."""
    if figure.bound is None:
        return ""
    sign = "≥" if UP[figure.kind] else "≤"
    return f"{sign} {figure.bound:g}" + (" x unguided" if figure.relative else "")


def met(figure: Figure, rows: Sequence[Row]) -> bool | None:
    """Whether the bound is met; None where there is none, or too few pictures to tell a ratio."""
    plain, guided = (value(figure, rows, side) for side in ("unguided", "guided"))
    reached = plain if guided is None else guided
    if figure.bound is None or reached is None:
        return None
    if figure.relative:
        enough = max(reached, plain or 0.0) * len(rows) >= ENOUGH
        return reached >= figure.bound * (plain or 0.0) if enough else None
    bound = figure.bound
    return reached >= bound if UP[figure.kind] else reached <= bound


def table(rows: Mapping[str, Sequence[Row]]) -> str:
    """All figures of all measured tasks, in Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for task in (task for task in TASKS if rows.get(task.name)):
        own = rows[task.name]
        for figure in task.figures:
            plain, guided = (_shown(value(figure, own, side)) for side in ("unguided", "guided"))
            unknown = " (too few)" if figure.relative else ""
            mark = {True: "", False: " (missed)", None: unknown}[met(figure, own)]
            first = figure is task.figures[0]
            cells = (
                *(task.name if first else "", figure.name, asked(figure)),
                *(plain, guided + mark if guided else "", str(len(own))),
                *(str(task.steps) if first else "", task.settings if first else ""),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:.1f}" if number > 10 else f"{number:.2f}"


def page(rows: Mapping[str, Sequence[Row]], weights: str) -> str:
    """The whole page in Markdown."""
    lines = [
        "# Editing on Shapes",
        "",
        f"Written by `python -m bench.editing`: CFG 4 where nothing else is said, Euler, weights "
        f"{weights}. The oracle judges from",
        "pixels; distances are parts of the picture's side, an object that is not there has "
        "distance and error 1. Unguided is the same",
        "seed without guidance (of edits with a direction: without the energy). Pictures whose "
        "source lacks what is edited do not count.",
        "",
        table(rows),
        "",
    ]
    return "\n".join(lines)
