"""The table of start values in docs/models.md, from what the templates hold."""

from __future__ import annotations

import re
from pathlib import Path

from tools.templates.families import FAMILIES, READABLE, Family

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
BETWEEN = re.compile(r"(?<=<!-- start values -->\n).*?(?=<!-- end of start values -->)", re.DOTALL)
HEAD = """\
| model | size | steps, CFG | sampler, scheduler | decoder of guidance | words in boxes |
|---|---|---|---|---|---|
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
        "yes" if family in READABLE else "no template",
    ]


def write() -> None:
    """Put the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BETWEEN.sub(lambda _: rows(), text), encoding="utf-8")
