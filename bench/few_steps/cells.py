"""What is asked of few steps, with which settings, and what the oracle counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from bench.quality.tasks import TASKS as ASKED
from bench.quality.tasks import Task
from bench.records import Row, fingerprint_with
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.latent_update import LatentUpdate
from guidance_core.rules.manifold import Manifold
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle
from guidance_core.shapes.scenes import Scene
from guidance_core.types import Energy, Rule
from tools.diffusers_host import FAST_DECODER, TURBO, Settings, Shapes, load, sample
from tools.shapes import lora

FIRST_SEED = 40_000_000  # what they had a part in, the page says
CONFIDENCE = 0.9  # of the label's node
STEPS = (4, 8)
RULES: dict[str, Callable[[Energy, PercentWindow], Rule]] = {
    "Forward": Forward,
    "Manifold": Manifold,
    "Backward": lambda energy, when: Backward(energy, when, steps=4, optimiser="gd"),
    "Latent Update": LatentUpdate,
}


@dataclass(frozen=True)
class Setting:
    """One way of guiding.

    Arguments:
        rule: its name; empty for no guidance.
        strength: relative.
        until: fraction of the noise schedule where rule and recurrences end.
        recurrences: how often each of 4 steps is taken; of 8 half as often, for the same cost.
        turbo: whether the LoRA for few steps is loaded.
        decoder: vae, or fitted (to estimates of 20 steps without the LoRA).
    """

    rule: str = ""
    strength: float = 0.0
    until: float = 1.0
    recurrences: int = 1
    turbo: bool = True
    decoder: str = "vae"


COLOUR, SHAPE, SENTENCE, POSITION = (
    next(task for task in ASKED if task.name == name)
    for name in ("colour label", "shape label", "CLIP text", "position")
)
TASKS = (COLOUR, SHAPE, POSITION, SENTENCE)
PLAIN = (Setting(turbo=False), Setting())
BY_VAE = (
    *(Setting("Forward", 0.3, 1.0, 3), Setting("Forward", 0.2, 1.0, 5)),
    Setting("Manifold", 0.3, 1.0, 4),
)
FITTED = tuple(replace(setting, decoder="fitted") for setting in BY_VAE)
LABEL = (*PLAIN, *BY_VAE, *FITTED)
SETTINGS: dict[str, tuple[Setting, ...]] = {
    COLOUR.name: LABEL,
    SHAPE.name: LABEL,
    POSITION.name: (*PLAIN, Setting("Forward", 0.6, 0.4, 5), Setting("Latent Update", 0.1, 0.7)),
    SENTENCE.name: (*PLAIN, BY_VAE[0], FITTED[0]),
}


def models() -> dict[bool, Shapes]:
    """Shapes without and with its LoRA for few steps."""
    plain = load()
    return {False: plain, True: replace(plain, unet=lora.merged(plain.unet, TURBO))}


def repeats(recurrences: int, steps: int) -> int:
    """How often each of so many steps is taken, where each of 4 is taken `recurrences` times."""
    return max(1, recurrences * STEPS[0] // steps)


def weights(task: Task, setting: Setting) -> str:
    """Fingerprint of the weights that take part."""
    decoder = [FAST_DECODER.stem] * (setting.decoder == "fitted")
    return fingerprint_with((*task.networks, *decoder, *[TURBO.stem] * setting.turbo))


def measured(model: Shapes, task: Task, job: Row) -> dict[str, Any]:
    """What the oracle says of each image of a batch."""
    energy = task.build(model.device, torch.empty(0), CONFIDENCE)
    window = PercentWindow(0.0, job["until"], value=job["strength"])
    settings = Settings(
        seed=job["seed"],
        batch=job["batch"],
        steps=job["steps"],
        recurrences=repeats(job["recurrences"], job["steps"]),
        end_percent=job["until"],
        eta=math.inf,
        scheduler="sgm_uniform",
        decoder=job["decoder"],
    )
    rules = [RULES[job["rule"]](energy, window)] if job["rule"] else []
    images = model.images(sample(model, rules, settings, positive=task.prompt))
    verdicts, gaps = oracle.judge(images), torch.pdist(images.flatten(1))
    return {
        "satisfied": [task.satisfied(verdict, Scene(())) for verdict in verdicts],
        "clean": [verdict.clean for verdict in verdicts],
        "diversity": float(gaps.mean()) / images[0].numel() ** 0.5,
    }
