"""The benchmark of guiding less: what its table says of batches, and its cells of rules."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from bench.pace import page
from bench.pace.cells import CELLS, EXACT, FITTED, PLAIN, STRENGTHS, TASKS, UNSEEN, rules_of
from guidance_core.schedules import EveryNth, WhenMoved
from tests.core.toys import toward


def row(cell, task=TASKS[0], seed=0, **figures):
    flags = {"satisfied": [True, False, True, True], "clean": [True] * 4}
    counts = {"taken": [2, 2, 4, 4], "cost": [1.2, 1.2, 1.4, 1.4]}
    return {
        "task": task.name,
        **asdict(cell),
        "seed": seed,
        "batch": 4,
        **flags,
        **counts,
        **figures,
    }


def test_the_table_joins_batches_and_keeps_seeds_apart_that_chose_nothing():
    rows = [row(EXACT), row(EXACT, seed=4, satisfied=[False] * 4), row(PLAIN, seed=UNSEEN)]
    text = "\n".join(page.section(rows))
    exact, plain = (
        line for line in text.splitlines() if line.startswith(("| Forward", "| unguid"))
    )
    assert "| vae | 1 |  | 1 | 38 ± 17 /" in exact
    assert exact.endswith("| 100 ± 0 | 3.0 | 1.30 | 8 |")
    assert plain.endswith("| 3.0 | 1.30 | 4 |")
    assert text.index("on seeds that chose nothing") < text.index("| unguided")


def test_the_page_keeps_what_stands_around():
    text = page.replaced(f"a\n{page.START}\nold\n{page.END}\nb", ["new"])
    assert text.split() == ["a", *page.START.split(), "new", *page.END.split(), "b"]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_cell_becomes_the_rule_that_it_says(cell):
    rules = rules_of(cell, TASKS[0], toward())
    assert len(rules) == bool(cell.rule)
    for rule in rules:
        assert type(rule).__name__ == cell.rule
        assert getattr(rule, "depth", 1.0) == cell.depth
        assert rule.strength.factor == STRENGTHS[TASKS[0].name]
        inner = rule.strength.schedule
        assert isinstance(inner, WhenMoved) == bool(cell.moved)
        assert isinstance(inner, EveryNth) == (cell.every > 1)


def test_a_chart_is_drawn(tmp_path):
    rows = [row(PLAIN), row(EXACT), row(replace(FITTED, every=2))]
    page.draw(rows, tmp_path / "cost.png")
    assert (tmp_path / "cost.png").stat().st_size > 5000
