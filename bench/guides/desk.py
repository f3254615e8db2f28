"""What a task of a guide is, the scenes that are asked for, and figures of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from guidance_core.networks import clip, detector, segmenter, vit
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.scenes import PALETTE, Scene
from guidance_core.types import Energy, Rule
from tools.demo.diffusers_host import WEIGHTS, Settings, Shapes

STRENGTH = 0.5  # of Rule: Forward, relative
Figures = dict[str, Tensor]  # one number a picture


@dataclass(frozen=True)
class Asked:
    """One batch of a task.

    Arguments:
        rules: what guides it.
        judged: figures of pictures (B, 3, 128, 128), each of shape (B,).
        start: clean pictures to start from, where the settings' `denoise` is below 1.
        noise: x at the first noise level, in place of the seed's own.
        before: pictures to compare with; unguided ones of the same seeds where there are none.
        prompts: one for all pictures, or one for each.
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
    seeds = range(85_000_000 + seed, 85_000_000 + seed + batch)
    return [scenes.random_scene(torch.Generator().manual_seed(one), count) for one in seeds]


def psnr(pictures: Tensor, truth: Tensor) -> Tensor:
    """Peak signal to noise ratio in dB, shape (B,)."""
    return decibels((pictures - truth).square().flatten(1).mean(1))


def decibels(error: Tensor) -> Tensor:
    """Mean squared errors (B,) of pictures in [0, 1] in dB; 120 where there is none."""
    return -10 * error.clamp_min(1e-12).log10()


def foreground(pictures: Tensor) -> Tensor:
    """Pixels that are not ground, shape (B, 128, 128), bool."""
    return oracle.nearest(pictures) > 0


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of masks (B, 128, 128), shape (B,)."""
    both, either = (one & other).flatten(1).sum(1), (one | other).flatten(1).sum(1)
    return both / either.clamp_min(1)


def colours(pictures: Tensor) -> Tensor:
    """Share of each palette colour in what is not ground, shape (B, 6); zeros for an empty one."""
    seen = oracle.nearest(pictures).flatten(1)
    counts = torch.stack([(seen == index + 1).sum(1) for index in range(len(PALETTE))], 1)
    return counts / counts.sum(1, keepdim=True).clamp_min(1)


def palette_distance(one: Tensor, other: Tensor) -> Tensor:
    """How much of the palettes of pictures differs, shape (B,), in [0, 1]."""
    return (colours(one) - colours(other)).abs().sum(1) / 2


@cache
def network(kind: str, device: torch.device) -> nn.Module:
    loaders = {"open_clip": clip, "detector": detector, "segmenter": segmenter, "vit": vit}
    return loaders[kind].load(WEIGHTS / f"{kind}.safetensors").to(device)


def pushed(energy: Energy, strength: float = STRENGTH) -> list[Rule]:
    """The gradient through the model, over the whole run."""
    return [Forward(energy, PercentWindow(0.0, 1.0, value=strength))]
