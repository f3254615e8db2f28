"""Who a reference shows: the stand-in for faces, to which an object is its shape and its colour."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.editing.sources import found
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
    who = [(scene.items[0].colour, scene.items[0].shape) for scene in there]
    energy = FaceIdentity(
        guide_network("face_encoder", model.device), scenes.render(there).to(model.device)
    )
    rule = Forward(energy, PercentWindow(0.0, 1.0, value=LIKENESS), stop=ENOUGH)

    def figures_of(images: Tensor) -> Figures:
        seen = oracle.judge(images)
        shown = [
            len(one.items) == 1 and found(one, own) is not None
            for one, own in zip(seen, who, strict=True)
        ]
        clean = [one.clean for one in seen]
        return {"whom it shows": torch.tensor(shown).float(), "clean": torch.tensor(clean).float()}

    return Asked([rule], figures_of, prompts=[f"a {shape}" for _, shape in who])
