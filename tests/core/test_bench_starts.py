"""The table of docs/strengths.md; sampling is ComfyUI's."""

from __future__ import annotations

import argparse
import math

from bench.starts import __main__ as starts
from bench.starts import page
from bench.starts.tasks import TASKS

TASK = TASKS["style"]


def row(amount: float, values: list[float]) -> dict:
    return {"task": TASK.name, "amount": amount, "seed": 0, "batch": 2, "palette": values}


def test_a_cell_is_the_mean_of_all_batches_with_its_standard_error():
    lines = page.table([row(0.0, [1.0, 0.0]), row(1.0, [0.0, 0.1]), row(1.0, [0.2, 0.3])])
    error = math.sqrt(sum((k / 10 - 0.15) ** 2 for k in range(4)) / 3 / 4)
    shown = f"palette distance | 0.50 ± 0.50 |  | 0.15 ± {error:.2f} |  | 2 / 0 / 4 / 0 |"
    assert lines.splitlines()[-1] == f"| {TASK.start} | {TASK.asked} | {TASK.medium} | {shown}"
    assert len(lines.splitlines()) == 3
    even = page.table([row(0.0, [1.0, 0.0]), row(1.5, [0.2, 0.1])])
    assert even.splitlines()[-1].endswith("| 2 |")


def test_every_batch_is_asked_for_once_and_the_first_seeds_of_all_come_first():
    options = argparse.Namespace(images=16, batch=8, task=["style", "look"], amounts=[0.0, 1.0])
    jobs = starts.jobs(options)
    assert [job["seed"] for job in jobs] == [0] * 4 + [8] * 4
    assert len({tuple(job.items()) for job in jobs}) == 8


def test_the_page_shows_what_was_measured():
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.BETWEEN.findall(text) == [page.table(page.read())]
