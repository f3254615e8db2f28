"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table."""
    line = lambda cells: f"| {' | '.join(cells)} |"
    return [line(head), "|---" * len(head) + "|", *(line(row) for row in rows)]


def share(flags: Sequence[float]) -> str:
    """Share of flags (0 or 1) in percent, with its standard error; empty without any."""
    if not flags:
        return ""
    part = fmean(flags)
    error = (part * (1 - part) / len(flags)) ** 0.5
    return f"{100 * part:.0f} ± {100 * error:.0f}"
