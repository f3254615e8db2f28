"""The table of start values in docs/models.md, from what the templates hold."""

from __future__ import annotations

import re
from pathlib import Path

from tools.templates.families import FAMILIES, Family
from tools.templates.tasks import TASKS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
BETWEEN = re.compile(r"(?<=<!-- start values -->\n).*?(?=<!-- end of start values -->)", re.DOTALL)
HEAD = """\
| model | size | steps, CFG | sampler, scheduler | decoder of guidance | sentence | words in boxes |
|---|---|---|---|---|---|---|
"""


def rows() -> str:
    """The table in Markdown, one row a family."""
    return HEAD + "".join(f"| {' | '.join(_cells(family))} |\n" for family in FAMILIES)


def _cells(family: Family) -> list[str]:
    width, height = family.size
    frames = f", {family.length} frames" if family.is_video else ""
    shift = f", shift {family.shift[1]:g}" if family.shift else ""
    return [
        f"{family.title} (`{family.key}`)",
        f"{width} x {height}{frames}",
        f"{family.steps}, {family.cfg:g}",
        f"{family.sampler}, {family.scheduler}{shift}",
        f"`{family.tiny.name}`",
        *(_push(family, key) for key in ("guide-by-text", "place-words")),
    ]


def _push(family: Family, key: str) -> str:
    """Strength and window of a task."""
    (task,) = (task for task in TASKS if task.key == key)
    strength, end = task.push(family)
    return f"{strength:g}, until {end:g}"


def write() -> None:
    """Put the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BETWEEN.sub(lambda _: rows(), text), encoding="utf-8")
