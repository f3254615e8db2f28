"""The rows and the section of few steps; sampling is the embedded host's."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, replace

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from bench.few_steps import __main__ as few_steps
from bench.few_steps import cells, page
from guidance_core.shapes import scenes
from guidance_core.shapes.scenes import Item, Scene

TASK = cells.COLOUR
SETTING = next(setting for setting in cells.SETTINGS[TASK.name] if setting.rule)


def row(setting: cells.Setting = SETTING, steps: int = 4, **flags: list[bool]) -> dict:
    cell = {"task": TASK.name, "steps": steps, **asdict(setting)}
    return {**cell, "seed": 0, "batch": 4, "diversity": 0.1, **flags}


def test_a_row_depends_on_lora_and_decoder_only_where_they_take_part():
    with_it, without = (cells.weights(TASK, setting) for setting in reversed(cells.PLAIN))
    assert with_it != without == TASK.weights
    guided = replace(SETTING, turbo=False)
    assert cells.weights(TASK, guided) == without
    assert cells.weights(TASK, replace(guided, decoder="fitted")) not in (with_it, without)


def test_every_cell_is_asked_for_once_and_the_first_seeds_of_all_come_first():
    options = argparse.Namespace(seeds=24, batch=16, steps=(4, 8), task=[TASK.name])
    jobs = few_steps.jobs(options)
    count = 2 * len(cells.SETTINGS[TASK.name])
    assert len(jobs) == 2 * count == len({tuple(job.items()) for job in jobs})
    first = cells.FIRST_SEED
    assert [job["seed"] for job in jobs] == [first] * count + [first + 16] * count
    assert [job["batch"] for job in jobs] == [16] * count + [8] * count


def test_section_shows_shares_of_all_batches_of_a_cell():
    flags = {"satisfied": [True, True, True, False], "clean": [True] * 4}
    worse = {"satisfied": [False] * 4, "clean": [True, False, True, False]}
    lines = page.section([row(**flags), row(**worse), row(steps=8, **flags)])
    named = f"{SETTING.rule} {SETTING.strength:g} | vae | {SETTING.until:g}"
    assert f"| 4 | {named} | {SETTING.recurrences} | 38 ± 17 | 75 ± 15 | 0.100 | 8 |" in lines
    half = SETTING.recurrences // 2
    assert f"| 8 | {named} | {half} | 75 ± 22 | 100 ± 0 | 0.100 | 4 |" in lines
    assert page.section([]) == []


def test_a_batch_is_judged_and_guided_as_its_row_says(monkeypatch):
    seen = []
    red = scenes.render([Scene((Item("circle", "red", "big", 60.0, 60.0, 20.0),))] * 2)

    class Model:
        device = torch.device("cpu")
        images = staticmethod(lambda latents: red)

    def sample(model, rules, settings, **options):
        seen.append((rules, settings, options))
        return torch.zeros(2, 4, 16, 16)

    monkeypatch.setattr(cells, "sample", sample)
    found = cells.measured(Model(), TASK, row() | {"batch": 2})
    assert found == {"satisfied": [True, True], "clean": [True, True], "diversity": 0.0}
    ((rule,), settings, options) = seen[0]
    assert type(rule).__name__ == SETTING.rule
    assert (rule.strength.value, rule.strength.end_percent) == (SETTING.strength, SETTING.until)
    assert (settings.eta, settings.scheduler, settings.cfg) == (math.inf, "sgm_uniform", 1.0)
    assert (settings.recurrences, settings.end_percent) == (SETTING.recurrences, SETTING.until)
    assert options == {"positive": TASK.prompt}
