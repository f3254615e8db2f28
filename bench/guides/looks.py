"""Colours and styles of another picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.guides.desk import (
    STRENGTH,
    Ask,
    Asked,
    Figures,
    foreground,
    network,
    overlap,
    palette_distance,
    pushed,
    scenes_of,
)
from guidance_core.energies.color_histogram import ColorHistogram
from guidance_core.energies.segmentation import Segmentation
from guidance_core.energies.style import Style
from guidance_core.procedures.inversion import invert
from guidance_core.shapes import scenes
from guidance_core.types import Energy
from tools.demo.diffusers_host import NoiseLevels, Shapes, denoiser

SAMPLER_STEPS = 20
STYLE_BLOCKS = (1, 2, 3)
TRANSLATING = 1.5, 1.0  # of the structure, of the colours


def coloured(make: Callable[[Shapes, Tensor], Energy], strength: float = STRENGTH) -> Ask:
    """The colours of another scene."""

    def asked(model: Shapes, seed: int, batch: int) -> Asked:
        reference = scenes.render(scenes_of(seed, batch, count=1))

        def figures_of(pictures: Tensor) -> Figures:
            return {"palette distance": palette_distance(pictures, reference)}

        energy = make(model, reference.to(model.device))
        return Asked(pushed(energy, strength), figures_of)

    return asked


def style(model: Shapes, reference: Tensor) -> Energy:
    guide: Any = network("open_clip", model.device)
    return Style(guide, reference, STYLE_BLOCKS)


def translated(model: Shapes, seed: int, batch: int) -> Asked:
    """The structure of one scene in the colours of another, started from the first's own noise."""
    source = scenes.render(scenes_of(seed, batch, count=1))
    target = scenes.render(scenes_of(1000 + seed, batch, count=1))
    guide: Any = network("segmenter", model.device)
    structure = Segmentation(guide, source.to(model.device))
    colour = ColorHistogram(target.to(model.device))

    def figures_of(pictures: Tensor) -> Figures:
        return {
            "contour IoU": overlap(foreground(pictures), foreground(source)),
            "palette distance": palette_distance(pictures, target),
        }

    rules = [*pushed(structure, TRANSLATING[0]), *pushed(colour, TRANSLATING[1])]
    noise = noise_of(model, source, SAMPLER_STEPS)
    return Asked(rules, figures_of, noise=noise, before=source)


def noise_of(model: Shapes, pictures: Tensor, steps: int) -> Tensor:
    """The noise that the empty prompt makes these pictures of."""
    sigmas, states = NoiseLevels().normal(steps).to(model.device), model.encode([""])
    plain = denoiser(model, states, states, 1.0)
    with torch.no_grad():
        return invert(plain, model.encoded(pictures), sigmas, torch.ones_like, iterations=2).states[
            0
        ]


def halved(before: Figures, after: Figures) -> bool:
    name = "palette distance"
    return bool(after[name].mean() <= before[name].mean() / 2)
