"""A task of a guide, the scenes that are asked for, and figures of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle
from guidance_core.shapes.scenes import PALETTE, Scene
from guidance_core.types import Energy, Rule
from tools.diffusers_host import Settings, Shapes
from tools.shapes.unseen import scenes_from

STRENGTH = 0.5  # of Rule: Forward, relative
Figures = dict[str, Tensor]  # one number for each image


@dataclass(frozen=True)
class Asked:
    """One batch of a task.

    Arguments:
        rules: what guides it.
        figures_of: figures of images (B, 3, 128, 128), each of shape (B,).
        start: clean images to start from, where the settings' `denoise` is below 1.
        noise: x at the first noise level, in place of the seed's own.
        before: images to compare with; unguided ones of the same seeds where None.
        prompts: one for all images, or one for each.
    """

    rules: Sequence[Rule]
    figures_of: Callable[[Tensor], Figures]
    start: Tensor | None = None
    noise: Tensor | None = None
    before: Tensor | None = None
    prompts: str | Sequence[str] = ""


Ask = Callable[[Shapes, int, int], Asked]


@dataclass(frozen=True)
class Task:
    """One guide and what it must reach.

    Arguments:
        name: name on the command line.
        asks: what is asked, in words.
        recipe: energy, rule and strength, in words.
        bound: what must hold, in words.
        met: whether figures before and after guidance hold the bound.
        asked: rules and judgement of a batch, of a model, its first seed and its size.
        settings: of the sampler; seed and batch are replaced.
        networks: guide networks that take part.
    """

    name: str
    asks: str
    recipe: str
    bound: str
    met: Callable[[Figures, Figures], bool]
    asked: Ask
    settings: Settings
    networks: tuple[str, ...] = ()


def scenes_of(seed: int, batch: int, count: int | None = None) -> list[Scene]:
    """Scenes that no network has seen, one for each seed from `seed` on."""
    return scenes_from(85_000_000 + seed, batch, count)


def foreground(images: Tensor) -> Tensor:
    """Pixels that are not background, shape (B, 128, 128), bool."""
    return oracle.nearest(images) > 0


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of masks (B, 128, 128), shape (B,)."""
    both, either = (one & other).flatten(1).sum(1), (one | other).flatten(1).sum(1)
    return both / either.clamp_min(1)


def colours(images: Tensor) -> Tensor:
    """Share of each palette colour in the foreground, shape (B, 6); zeros without one."""
    seen = oracle.nearest(images).flatten(1)
    counts = torch.stack([(seen == index + 1).sum(1) for index in range(len(PALETTE))], 1)
    return counts / counts.sum(1, keepdim=True).clamp_min(1)


def palette_distance(one: Tensor, other: Tensor) -> Tensor:
    """Fraction of the palettes of images that differs, shape (B,), in [0, 1]."""
    return (colours(one) - colours(other)).abs().sum(1) / 2


def forward(energy: Energy, strength: float = STRENGTH) -> list[Rule]:
    """The gradient through the model, at every step."""
    return [Forward(energy, PercentWindow(0.0, 1.0, value=strength))]
