"""The rows and the table of decoders; sampling is the embedded host's."""

from __future__ import annotations

import pytest

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from bench.decoders import __main__ as decoders
from bench.decoders import cells

TASK = cells.TASKS[0]


def row(decoder: str, **more: object) -> dict:
    flags = {"satisfied": [True] * 12 + [False] * 4, "clean": [True] * 16}
    return {**cells.cell(TASK, decoder), "seed": 0, "batch": 16, **flags, **more}


def test_every_cell_is_asked_for_once_and_the_first_seeds_of_all_come_first() -> None:
    jobs = cells.jobs(list(cells.TASKS), [(0, 16), (16, 16)])
    count = len(cells.TASKS) * 2
    assert len(jobs) == 2 * count == len({tuple(job.items()) for job in jobs})
    first = cells.FIRST_SEED
    assert [job["seed"] for job in jobs] == [first] * count + [first + 16] * count


def test_the_decoder_takes_part_in_the_weights_where_it_decodes() -> None:
    exact, fitted = (cells.cell(TASK, decoder)["weights"] for decoder in ("vae", "fitted"))
    assert exact == TASK.weights != fitted


def test_shares_have_their_standard_errors_and_old_weights_no_line() -> None:
    lines = decoders.table([row("vae"), row("vae"), row("fitted", weights="older")])
    assert len(lines) == 3
    # 24 of 32: 75 %, and sqrt(0.75 * 0.25 / 32) is 7.65 %.
    assert lines[-1] == f"| {TASK.name} | {TASK.asks} | vae | 75 ± 8 | 100 ± 0 | 32 |"
    assert decoders.table([]) == []
