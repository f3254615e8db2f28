"""The curves of a trace, named and judged as the monitor in the browser does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..host.browser.legend import called, text

Row = dict[str, Any]
SUM = -1  # number of the colour of a sum of several terms


@dataclass
class Curve:
    """Values of each sample over the noise level.

    Arguments:
        label: what it is; empty where another curve says it.
        reached: words for how many samples have reached what was asked, or nothing.
        color: number of its colour; SUM is that of text.
        points: noise levels and values of the batch.
    """

    label: str
    reached: str
    color: int
    points: list[tuple[float, list[float]]]


@dataclass
class _Group:
    rule: str
    terms: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def curves(rows: list[Row]) -> dict[str, list[Curve]]:
    """Curves by quantity: energy, grad_norm and push; lists of none where there are no rows."""
    found: dict[str, list[Curve]] = {"energy": [], "grad_norm": [], "push": []}
    groups = _grouped(rows)
    several = len({group.rule for group in groups}) > 1
    color = 0
    for group in groups:
        before = f"{group.rule}, " if several else ""
        alone = group.terms[0] if len(group.terms) == 1 else ""
        whole = SUM if len(group.terms) > 1 else color
        color += whole != SUM
        found["energy"].append(_curve(group.rows, alone, before, whole))
        for term in group.terms if whole == SUM else []:
            found["energy"].append(_curve(group.rows, term, before, color))
            color += 1
        for name in ("grad_norm", "push"):
            found[name].append(Curve("", "", whole, _read(group.rows, partial(_size, name=name))))
    return found


def _grouped(rows: list[Row]) -> list[_Group]:
    """Rows by rule and energy: rows of one rule that share a term belong together."""
    groups: list[_Group] = []
    for row in rows:
        names = set(row["terms"])
        same = [g for g in groups if g.rule == row["rule"] and (not names or names & set(g.terms))]
        group = same[0] if same else _Group(row["rule"])
        if not same:
            groups.append(group)
        group.terms += [name for name in row["terms"] if name not in group.terms]
        group.rows.append(row)
    return groups


def _curve(rows: list[Row], term: str, before: str, color: int) -> Curve:
    """The curve of a term, or of the sum of all where it is empty."""
    there = [row for row in rows if not term or term in row["terms"]]
    points = _read(there, lambda row: row["terms"][term] if term else row["energy"])
    words = called(term) if term else text("sum")
    reached = _reached(there[-1], term, points[-1][1])
    return Curve(before + words, reached, color, points)


def _read(rows: list[Row], values: Callable[[Row], list[float]]) -> list[tuple[float, list[float]]]:
    return [(row["sigma"], values(row)) for row in rows]


def _size(row: Row, name: str) -> list[float]:
    """A quantity; of a step in units of that of strength 1, where the row tells it."""
    unit = (row.get("spread") or 1.0) if name == "push" else 1.0
    return [value / unit for value in row[name]]


def _reached(row: Row, term: str, values: list[float]) -> str:
    """Words for how many samples had reached what was asked in the last row of a term."""
    limits = row.get("reached", {})
    wholes = [limit for name, limit in limits.items() if name not in row["terms"]]
    limit = limits.get(term) if term else next(iter(wholes), None)
    count = 0 if limit is None else sum(value <= limit for value in values)
    if not count:
        return ""
    if count == len(values):
        return f"  {text('reached')}"
    return "  " + text("reached_some").format(count=count, all=len(values))
