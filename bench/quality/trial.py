"""One trial of the tuner: a batch of seeds sampled with settings, and the oracle's verdict on it.

A module of its own, so that workers elsewhere can import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch

from bench.quality import sampling
from bench.quality.methods import OURS_UNTIL, Method
from bench.quality.tasks import TASKS
from guidance_core.procedures import search_spaces
from guidance_core.rules.forward import Forward
from guidance_core.rules.unified import Unified
from guidance_core.schedules import PercentWindow
from guidance_core.types import Energy, Rule
from tools import diffusers_host

CONFIDENCE = 0.9  # from which labels have no effect, as in the classifier's node
# All that a worker needs: task, search, settings, first seed, batch, steps.
Job = tuple[str, str, tuple[tuple[str, float], ...], int, int, int]


@cache
def _model() -> diffusers_host.Shapes:
    torch.set_num_threads(1)
    return diffusers_host.load()


def rule_of(kind: str, energy: Energy, settings: Mapping[str, float]) -> Rule:
    """The rule with these settings."""
    if kind == "unified":
        return Unified(
            energy, PercentWindow(0.0, OURS_UNTIL), **search_spaces.unified_settings(settings)
        )
    end = settings.get("end", OURS_UNTIL)
    return Forward(energy, PercentWindow(0.0, end, value=settings["strength"]))


def value_of(job: Job) -> float:
    """The oracle's verdict on one batch of seeds, higher is better; nan if sampling diverged."""
    name, kind, settings, seed, batch, steps = job
    task, found = next(task for task in TASKS if task.name == name), dict(settings)
    energy = task.build(_model().device, sampling.truth(seed, batch), CONFIDENCE)
    rule = rule_of(kind, energy, found)
    again = int(found.get("recurrences", 1))
    method = Method("tuned", lambda energy, task: [rule], again, OURS_UNTIL)
    size = {"seed": seed, "batch": batch, "steps": steps}
    try:
        images, _, _ = sampling.sampled(_model(), task, method, [rule], size)
    except RuntimeError as error:
        if "not finite" not in str(error):
            raise
        return float("nan")
    seen = sampling.figures(task, seed, images)
    if task.restores:
        return float(seen["psnr"])
    pairs = zip(seen["satisfied"], seen["clean"], strict=True)
    return sum(satisfied and clean for satisfied, clean in pairs) / batch
