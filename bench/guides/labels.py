"""Labels that a classifier asks for, with an empty prompt: of the clean estimate, of the latent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.guides.task import Ask, Asked, Figures, forward
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.noisy_classifier import NoisyClassLabel
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle
from guidance_core.types import Rule
from tools.diffusers_host import Shapes, guide_network

LABELS = ("red", "circle", "green", "square", "blue", "triangle", "yellow", "purple", "white")
SURE = 0.9  # confidence from which on a clean label has no effect
CLEAN = 0.8  # strength of Rule: Forward, relative, by the classifier of clean images
NOISY = 10.0  # absolute, by that of noisy latents, chosen on 24 images of other seeds


def mostly(before: Figures, after: Figures) -> bool:
    """Whether three in four guided images show their label."""
    return bool(after["shown"].mean() >= 0.75)


def labelled(rules_of: Callable[[Shapes, str], Sequence[Rule]]) -> Ask:
    """One label a batch, each in its turn."""

    def asked(model: Shapes, seed: int, batch: int) -> Asked:
        label = LABELS[(seed // batch) % len(LABELS)]

        def figures_of(images: Tensor) -> Figures:
            seen = [(verdict.has(label), verdict.clean) for verdict in oracle.judge(images)]
            shown, clean = torch.tensor(seen, dtype=torch.float32).unbind(1)
            return {"shown": shown, "clean": clean, "shown and clean": shown * clean}

        return Asked(rules_of(model, label), figures_of)

    return asked


def by_clean(model: Shapes, label: str) -> list[Rule]:
    """Energy: Classifier, through the model."""
    return forward(ClassLabel(guide_network("classifier", model.device), label, SURE), CLEAN)


def by_noisy(model: Shapes, label: str) -> list[Rule]:
    """Energy: Noisy Label, without a gradient through the model."""
    energy = NoisyClassLabel(guide_network("noisy_classifier", model.device), label)
    return [Forward(energy, PercentWindow(0.0, 1.0, value=NOISY), "absolute")]
