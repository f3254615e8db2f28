"""Images to be edited: their captions, what the oracle sees, and what the model attended to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from guidance_core.attention.references import Reference
from guidance_core.attention.words import Word
from guidance_core.captures import Capture
from guidance_core.rules.recording import Recording
from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.oracle import Verdict
from guidance_core.shapes.scenes import SIDE, Item
from guidance_core.types import Rule
from tools.diffusers_host import LEVELS, Settings, Shapes, sample

CFG = 4.0
FIRST_SEED = 90_000_000  # captions are drawn from seeds of their own


def caption(seed: int, count: int, words: tuple[str, ...]) -> str:
    """A caption of `count` objects; no two objects share a colour or a shape."""
    generator = torch.Generator().manual_seed(FIRST_SEED + seed)
    order = lambda names: [names[k] for k in torch.randperm(len(names), generator=generator)]
    sizes = [tuple(scenes.SIZES)[int(torch.randint(2, (), generator=generator))] for _ in range(3)]
    parts = zip(sizes, order(tuple(scenes.PALETTE)), order(scenes.SHAPES), strict=False)
    named = [dict(zip(("size", "colour", "shape"), part, strict=True)) for part in parts]
    return " and ".join("a " + " ".join(part[word] for word in words) for part in named[:count])


def word(text: str, *names: str) -> Word:
    """Words of a caption as one; a place is counted from the start token."""
    places = text.split()
    return Word(" ".join(names), tuple(1 + places.index(name) for name in names))


def object_words(text: str, number: int) -> tuple[str, ...]:
    """Names of an object in a caption: "a big red circle" is big, red, circle."""
    return tuple(text.split(" and ")[number].split()[1:])


def found(verdict: Verdict, names: Sequence[str]) -> Item | None:
    """The whole object of this colour and shape, as far as they are named; None without one."""
    asked = set(names) - set(scenes.SIZES)
    fitting = [item for item in verdict.items if asked <= {item.colour, item.shape}]
    return fitting[0] if fitting else None


def distance(item: Item | None, x: float, y: float) -> float:
    """Distance of an object's centroid from a point, in sides of the image; 1 without an object."""
    return 1.0 if item is None else math.hypot(item.x / SIDE - x, item.y / SIDE - y)


def place(item: Item) -> tuple[float, float]:
    """Centroid in [0, 1]."""
    return item.x / SIDE, item.y / SIDE


def inside(item: Item, box: tuple[float, float, float, float]) -> float:
    """Fraction of an object's area that lies in a box of [0, 1]."""
    outline = scenes.inside(item)
    left, top, right, bottom = (round(edge * SIDE) for edge in box)
    return float(outline[top:bottom, left:right].sum() / outline.sum())


@dataclass(frozen=True, eq=False)
class Each:
    """An energy for each sample of a batch, where targets differ."""

    energies: tuple[Any, ...]

    def __call__(self, estimate: Any) -> Tensor:
        """Energy of shape (B,)."""
        row = lambda i: estimate.mapped(lambda part: part[i : i + 1])
        return torch.cat([energy(row(i)) for i, energy in enumerate(self.energies)])


def recording(requests: frozenset[Capture], levels: dict[float, Any]) -> Recording:
    """A rule that changes nothing and keeps these captures of every noise level in `levels`."""
    return Recording(requests, lambda sigma, values: levels.update({sigma: dict(values)}))


@dataclass(frozen=True, eq=False)
class Source:
    """A batch of images as the model generates them without guidance.

    Arguments:
        shapes: the model.
        seeds: one for each image, of its noise.
        captions: one for each image.
        steps: sampling steps.
        records: what to record during sampling, for a reference; empty where none is read.
    """

    shapes: Shapes
    seeds: tuple[int, ...]
    captions: tuple[str, ...]
    steps: int
    records: frozenset[Capture] = frozenset()
    levels: dict[float, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        images = self.guided([recording(self.records, self.levels)] if self.records else [])
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "verdicts", oracle.judge(images))

    images: Tensor = field(init=False)
    verdicts: list[Verdict] = field(init=False)

    @property
    def sigmas(self) -> Tensor:
        """Noise levels of the run."""
        return LEVELS.normal(self.steps)

    @property
    def noise(self) -> Tensor:
        """X at the first noise level; row i depends on its seed alone."""
        return self.noise_of(self.seeds)

    def noise_of(self, seeds: Sequence[int]) -> Tensor:
        """The same of other seeds."""
        side = self.shapes.unet.config.sample_size
        shape = (4, side, side)
        draw = lambda seed: torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        return torch.stack([draw(seed) for seed in seeds]) * (1 + self.sigmas[0] ** 2) ** 0.5

    def guided(self, rules: Sequence[Rule], **options: Any) -> Tensor:
        """Images (B, 3, 128, 128) from the same noise, guided by rules."""
        settings = Settings(steps=self.steps, cfg=CFG, **options)
        return self.shapes.images(
            sample(self.shapes, rules, settings, positive=self.captions, noise=self.noise)
        )

    @property
    def reference(self) -> Reference:
        """What was recorded."""
        return Reference(self.levels, tuple(self.noise.shape[-2:]))

    def reference_of(self, rows: Sequence[int]) -> Reference:
        """What was recorded of some images."""
        pick = lambda level: {key: tuple(v[rows] for v in level[key]) for key in level}
        return Reference(
            {sigma: pick(level) for sigma, level in self.levels.items()},
            tuple(self.noise.shape[-2:]),
        )
