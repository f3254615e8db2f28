"""Colours and styles of another image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from bench.editing.sources import Each
from bench.guides.task import (
    STRENGTH,
    Ask,
    Asked,
    Figures,
    foreground,
    forward,
    overlap,
    palette_distance,
    scenes_of,
)
from guidance_core.energies.color_histogram import ColorHistogram
from guidance_core.energies.range import Range
from guidance_core.energies.segmentation import Segmentation
from guidance_core.energies.structure import Structure
from guidance_core.energies.style import Style
from guidance_core.energies.text_direction import TextDirection
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.procedures.inversion import invert
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import scenes
from guidance_core.types import Energy
from tools.diffusers_host import LEVELS, Shapes, denoiser, guide_network

SAMPLER_STEPS = 20
STYLE_BLOCKS = (1, 2, 3)
TRANSLATING = 1.5, 1.0  # of the structure, of the colours
# Weights of structure, text and range: DiffuseIT's over 1000, the first two doubled; latents of
# Shapes are within 5.9.
COEFFICIENTS, LIMIT = (2.0, 4.0, 0.2), 6.0
# Of Rule: Forward by all of it, and of Rule: Backward by the sentences alone, with its steps.
DIFFUSING = PercentWindow(curve="linear_down", value=4.0)
SAYING_TOO, SAYING_TOO_STEPS = PercentWindow(curve="linear_down", value=0.8), 4
# From here the noise of the image itself is taken: steps, and how far up the noise levels.
DIFFUSED = 60, 0.8


def coloured(make: Callable[[Shapes, Tensor], Energy], strength: float = STRENGTH) -> Ask:
    """The colours of another scene."""

    def asked(model: Shapes, seed: int, batch: int) -> Asked:
        reference = scenes.render(scenes_of(seed, batch, count=1))

        def figures_of(images: Tensor) -> Figures:
            return {"palette distance": palette_distance(images, reference)}

        energy = make(model, reference.to(model.device))
        return Asked(forward(energy, strength), figures_of)

    return asked


def style(model: Shapes, reference: Tensor) -> Energy:
    return Style(guide_network("open_clip", model.device), reference, STYLE_BLOCKS)


def translated(model: Shapes, seed: int, batch: int) -> Asked:
    """The structure of one scene in the colours of another, started from the first's own noise."""
    source = scenes.render(scenes_of(seed, batch, count=1))
    target = scenes.render(scenes_of(1000 + seed, batch, count=1))
    guide = guide_network("segmenter", model.device)
    structure = Segmentation(guide, source.to(model.device))
    colour = ColorHistogram(target.to(model.device))

    def figures_of(images: Tensor) -> Figures:
        return {
            "contour IoU": overlap(foreground(images), foreground(source)),
            "palette distance": palette_distance(images, target),
        }

    rules = [*forward(structure, TRANSLATING[0]), *forward(colour, TRANSLATING[1])]
    noise = noise_of(model, source, SAMPLER_STEPS)
    return Asked(rules, figures_of, noise=noise, before=source)


def diffuseit(model: Shapes, seed: int, batch: int) -> Asked:
    """A scene in the colour of another by sentences, with DiffuseIT's whole loss.

    From the scene's own noise.
    """
    source = scenes.render(scenes_of(seed, batch, count=1))
    noise = noise_of(model, source, *DIFFUSED)
    return replace(diffuseit_drawn(model, seed, batch), start=None, noise=noise)


def diffuseit_drawn(model: Shapes, seed: int, batch: int) -> Asked:
    """The same from noise that is drawn, as published."""
    scenes_there = scenes_of(seed, batch, count=1)
    wanted = [scene.items[0].colour for scene in scenes_of(1000 + seed, batch, count=1)]
    recoloured = [
        scenes.Scene((replace(scene.items[0], colour=colour),))
        for scene, colour in zip(scenes_there, wanted, strict=True)
    ]
    source, target = scenes.render(scenes_there), scenes.render(recoloured)
    captions = [[scene.caption() for scene in side] for side in (recoloured, scenes_there)]
    clip, there = guide_network("open_clip", model.device), source.to(model.device)
    one = lambda i, after, before: TextDirection(clip, after, before, there[i : i + 1], cutouts=0)
    direction = Each(tuple(one(i, *pair) for i, pair in enumerate(zip(*captions, strict=True))))
    structure = Structure(guide_network("vit", model.device), there)
    parts = zip(COEFFICIENTS, (structure, direction, Range(LIMIT)), strict=True)

    def figures_of(images: Tensor) -> Figures:
        return {
            "contour IoU": overlap(foreground(images), foreground(source)),
            "palette distance": palette_distance(images, target),
        }

    rules = [
        Forward(WeightedSum(tuple(parts)), DIFFUSING),
        Backward(direction, SAYING_TOO, steps=SAYING_TOO_STEPS, optimiser="polyak"),
    ]
    return Asked(rules, figures_of, start=source, before=source)


def noise_of(model: Shapes, images: Tensor, steps: int, denoise: float = 1.0) -> Tensor:
    """The noise from which the empty prompt generates these images.

    Arguments:
        model: Shapes.
        images: (B, 3, 128, 128) in [0, 1].
        steps: of the sampler that begins at it.
        denoise: how far up the noise levels it lies.
    """
    whole, states = LEVELS.normal(int(steps / denoise)), model.encode([""])
    plain, latents = denoiser(model, states, states, 1.0), model.latents(images)
    sigmas = whole[-(steps + 1) :].to(model.device)
    with torch.no_grad():
        return invert(plain, latents, sigmas, torch.ones_like, iterations=2).states[0]


def halved(before: Figures, after: Figures) -> bool:
    name = "palette distance"
    return bool(after[name].mean() <= before[name].mean() / 2)
