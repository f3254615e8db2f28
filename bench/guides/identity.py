"""Who a reference shows: the stand-in for faces, to which an object is its shape and its colour."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.guides.task import Asked, Figures, scenes_of
from guidance_core.energies.face_identity import FaceIdentity
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle, scenes
from tools.diffusers_host import Shapes, guide_network

LIKENESS, ENOUGH = 0.5, 0.05  # strength of Rule: Forward, relative, and its stop


def recognised(before: Figures, after: Figures) -> bool:
    """Whether three in five guided images show whom the reference shows."""
    return bool(after["whom it shows"].mean() >= 0.6)


def identity(model: Shapes, seed: int, batch: int) -> Asked:
    """The object of another scene, where the prompt names its shape alone."""
    there = scenes_of(seed, batch, count=1)
    energy = FaceIdentity(
        guide_network("face_encoder", model.device), scenes.render(there).to(model.device)
    )
    rule = Forward(energy, PercentWindow(0.0, 1.0, value=LIKENESS), stop=ENOUGH)

    def figures_of(images: Tensor) -> Figures:
        pairs = list(zip(oracle.judge(images), (scene.items[0] for scene in there), strict=True))
        shown = [
            len(verdict.items) == 1
            and (verdict.items[0].colour, verdict.items[0].shape) == (item.colour, item.shape)
            for verdict, item in pairs
        ]
        clean = [verdict.clean for verdict, _ in pairs]
        return {"whom it shows": torch.tensor(shown).float(), "clean": torch.tensor(clean).float()}

    return Asked([rule], figures_of, prompts=[f"a {scene.items[0].shape}" for scene in there])
