"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table."""
    line = lambda cells: f"| {' | '.join(cells)} |"
    return [line(head), "|---" * len(head) + "|", *(line(row) for row in rows)]
