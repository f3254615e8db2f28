"""The benchmark of what an energy looks at above CFG 1."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from bench.cfg import page, spread, window
from bench.cfg.__main__ import jobs, looks
from bench.cfg.tasks import TASKS, ByRow
from guidance_core.shapes import scenes
from guidance_core.shapes.oracle import Verdict
from tools.diffusers_host import LEVELS
from tools.shapes.unseen import scenes_from

RED_CIRCLE = scenes.Item("circle", "red", "big", 38.0, 90.0, 20.0)


FLAGS = {"satisfied": [True], "clean": [True], "rule": "", "strength": 0.0, "look": "positive"}


def test_a_page_counts_images_and_their_standard_error():
    row = {"task": "label", "cfg": 4.0, "rule": "Forward", "strength": 0.8, "look": "cfg"}
    flags = {"satisfied": [True] * 3 + [False], "clean": [True] * 4, "kept": [False] * 4}
    text = page.page([{**row, **flags}, {**row, **flags, "look": "positive"}])
    assert "| 4.0 | Forward 0.8 | cfg | 75 ± 22 | 100 ± 0 | 0 ± 0 | 4 |" in text
    assert text.index("| positive |") < text.index("| cfg |")
    assert "measurement" not in text.split("## label")[1]


def test_obedience_and_variety_over_the_scale():
    here = [[64.0, 64.0, 13.0]] * 4
    row = {"task": spread.NAME, "weights": "x", "kept": [True, True, True, False]}
    still = {**row, "cfg": 8.0, "objects": [[one] for one in here]}
    drawn = [
        [[item.x, item.y, item.radius] for item in scene.items]
        for scene in scenes_from(1_000_000, 400, 1)
    ]
    varied = {**row, "cfg": 0.5, "kept": [False] * 4, "objects": drawn}
    low, high = spread.points([still, varied])
    assert (high["kept"], high["place"], high["size"], high["images"]) == (0.75, 0.0, 0.0, 4)
    assert abs(low["place"] - 1) < 0.1
    assert abs(low["size"] - 1) < 0.1
    text = page.page([still, varied])
    assert "| 8 | 7 | 75 ± 22 | 0.00 | 0.00 | 4 |" in text
    assert "| 0.5 | -0.5 | 0 ± 0 |" in text
    half = [[[32.0 + k % 2 * 64, 64.0, 13.0]] for k in range(100)]
    one, other = spread.spreads(half)[0], spread.spreads([[[x, x, r]] for [[x, _, r]] in half])[0]
    assert abs(other / one - 2**0.5) < 1e-6


def test_cfg_acts_inside_of_its_window_and_cells_are_counted():
    levels = LEVELS.normal(window.STEPS)[:-1].tolist()
    both, alone = (lambda x, sigma, name=name: (name, float(sigma[0])) for name in "ba")
    part = window.inside(both, alone, (0.2, 0.6))
    chosen = "".join(part(None, torch.tensor([level]))[0] for level in levels)
    # Ten even timesteps from 999 to 0: those at 0.22 to 0.56 of the run.
    assert chosen == "aabbbbaaaa"
    row = {"task": window.NAME, "weights": "x", "cfg": 7.5, "window": [0.2, 0.6]}
    rows = [{**row, "kept": [True] * 3}, {**row, "kept": [False]}]
    whole = {**row, "window": [0.0, 1.0], "kept": [False] * 4}
    text = page.page([*rows, whole])
    assert "| 7.5 | 0.2 | 0.6 | 1.4 | 75 ± 22 | 4 |" in text
    assert "| 7.5 | 0 | 1 | 2.0 | 0 ± 0 | 4 |" in text
    assert "ten Euler steps" not in page.page([{**whole, "task": "label", **FLAGS}])


def test_only_what_can_differ_is_compared():
    assert looks("label", "Forward") == ("positive", "cfg", "both")
    assert looks("label", "Manifold") == ("positive", "cfg")
    assert len(looks("position", "Forward")) == len(looks("label", "")) == 1
    options = SimpleNamespace(task=["label"], cfg=[4.0], seeds=20, batch=16)
    sizes = [job["batch"] for job in jobs(options)]
    assert sizes == [16] * 6 + [4] * 6


def test_each_image_is_asked_for_its_own_label():
    energies = tuple(lambda estimate, k=k: torch.full((3,), float(k)) for k in range(3))
    assert ByRow(energies, (2, 0, 1))(None).tolist() == [2.0, 0.0, 1.0]


def test_the_oracle_decides_what_is_satisfied_and_kept():
    red, place = Verdict((RED_CIRCLE,), clean=True), TASKS["position"]
    # Seeds take the pairs circle and blue, square and red, triangle and yellow in turn.
    assert TASKS["label"].prompts(0, 4) == ["a circle", "a square", "a triangle", "a circle"]
    assert [TASKS["label"].satisfied(seed, red) for seed in range(3)] == [False, True, False]
    assert not TASKS["label"].kept(1, red)
    assert place.satisfied(0, red)
    assert not TASKS["sentence"].satisfied(0, red)
