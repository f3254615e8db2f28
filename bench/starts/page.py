"""The table of docs/strengths.md: what each strength of a start reaches."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence

from bench import command, markdown, records
from bench.records import Row
from bench.starts.tasks import TASKS, Task

RESULTS = command.RESULTS / "starts.json"
PAGE = command.CHECKOUT / "docs" / "strengths.md"
BETWEEN = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- end of measured -->)", re.DOTALL)
# Nothing, weak, medium, strong.
AMOUNTS = [0.0, 0.5, 1.0, 1.5]
HEAD = ("start", "asked", "medium is", "figure", "without", "weak", "medium", "strong", "images")


def read() -> list[Row]:
    """Finished batches of today's weights and settings."""
    return records.read(RESULTS, [task.identity for task in TASKS.values()])


def table(rows: Sequence[Row]) -> str:
    """Means of all figures with their standard errors, in Markdown."""
    lines = [line for task in TASKS.values() for line in _lines(task, rows)]
    return "\n".join(markdown.table(HEAD, lines)) + "\n"


def _lines(task: Task, rows: Sequence[Row]) -> Iterator[list[str]]:
    own = [row for row in rows if row["task"] == task.name]
    start = [task.start, task.asked, task.medium]
    for key, name in task.figures.items():
        values = [_values(own, key, amount) for amount in AMOUNTS]
        if any(values):
            yield [*start, name, *map(_shown, values), _counted(values)]
            start = [""] * len(start)


def _values(rows: Sequence[Row], key: str, amount: float) -> list[float]:
    return [value for row in rows if row["amount"] == amount for value in row[key]]


def _shown(values: Sequence[float]) -> str:
    if len(values) < 2:
        return ""
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.2f} ± {error:.2f}"


def _counted(values: Sequence[Sequence[float]]) -> str:
    """How many images there are; in each cell for itself where they differ."""
    counts = [len(cell) for cell in values]
    several = len({count for count in counts if count}) > 1
    return " / ".join(map(str, counts)) if several else str(max(counts))


def write(rows: Sequence[Row]) -> None:
    """Put the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BETWEEN.sub(lambda _: table(rows), text), encoding="utf-8")
