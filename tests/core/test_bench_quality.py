"""The quality benchmark's bookkeeping; sampling itself is the demo host's."""

from __future__ import annotations

import json

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from bench.quality import __main__ as quality
from bench.quality import report
from bench.quality.methods import METHODS, FreedomText
from bench.quality.tasks import TASKS, scenes_of
from guidance_core.process import ancestral_noise
from guidance_core.shapes import oracle, scenes
from guidance_core.types import Estimate, Run, euler_share
from tools.demo import diffusers_host

BATCH = {"weights": "w", "task": "colour label", "method": "DPS", "seed": 0, "batch": 2, "steps": 3}
FIGURES = {"evaluations": 3, "seconds": 1.0, "diversity": 0.1, "psnr": None}


def test_a_line_cut_short_is_left_out(tmp_path):
    path = tmp_path / "results.jsonl"
    assert quality.read(path) == []
    line = json.dumps(BATCH) + "\n"
    path.write_text(2 * line + '{"weights": "w", "ta', encoding="utf-8")
    (row,) = quality.read(path)
    assert quality.key(row) == tuple(BATCH.values())


def test_cells_are_means_over_pictures_and_what_diverged_counts_as_missed():
    rows = [
        {**BATCH, **FIGURES, "satisfied": [True, True], "clean": [True, False]},
        {**BATCH, "seed": 2, "diverged": "not finite"},
    ]
    cell = report.cells(rows)["colour label", "DPS"]
    assert (cell["satisfied"], cell["clean"], cell["both"]) == (0.5, 0.25, 0.25)
    assert (cell["pictures"], cell["evaluations"]) == (4, 3)
    assert "| DPS | 0.50 | 0.25 | 0.25 |  | 0.100 | 3 | 1.00 | 4 |" in report.table(
        {("colour label", "DPS"): cell}
    )


def test_true_scenes_satisfy_every_restoration_and_others_do_not():
    true, other = scenes_of(0, 3), scenes_of(50, 3)
    verdicts = oracle.judge(scenes.render(true))
    for task in (task for task in TASKS if not task.asks):
        assert all(task.satisfied(v, scene) for v, scene in zip(verdicts, true, strict=True))
        assert not any(task.satisfied(v, scene) for v, scene in zip(verdicts, other, strict=True))


@pytest.mark.parametrize("task", [t for t in TASKS if not t.asks], ids=lambda task: task.name)
def test_truth_is_what_restorations_ask_for(task):
    pictures = scenes.render(scenes_of(0, 2))
    energy = task.build(torch.device("cpu"), pictures)
    seen = lambda shown: energy(Estimate(shown, torch.ones(2), lambda x0: x0))
    assert (seen(pictures) < 0.1 * seen(1 - pictures)).all()


def test_every_method_builds_rules_for_every_kind_of_task():
    energy = lambda estimate: estimate.x0.flatten(1).sum(1)
    kinds = {task.norm is None: task for task in TASKS}
    for method in METHODS:
        for task in kinds.values():
            assert len(method.rules(energy, task)) == len(method.rules(energy, kinds[True]))


def test_freedom_pushes_by_a_share_of_the_noise():
    sigma = 3.0
    assert FreedomText()(sigma) * sigma / (1 + sigma**2) ** 0.5 == pytest.approx(0.02 * sigma)


def test_ancestral_steps_of_the_demo_host():
    assert diffusers_host.ancestral_share(0.0, 2.0, 1.0) == euler_share(2.0, 1.0)
    assert diffusers_host.ancestral_share(1.0, 2.0, 1.0) == pytest.approx(1 - 1 / 4)
    run = Run(torch.ones_like, torch.tensor([2.0, 1.0]), seed=1)
    still = lambda x, sigma: Estimate(torch.zeros_like(x), sigma)
    x = diffusers_host.ancestral(1.0, run)(still, torch.zeros(1, 4, 64, 64), run.sigmas)
    expected = ancestral_noise(run.sigmas[:1], run.sigmas[1:], torch.ones_like)
    assert float(x.std()) == pytest.approx(float(expected), rel=0.02)
