"""Images that are several scenes at once, as a sampler's clean estimates at high noise are.

Half of the images are one scene. The others are up to `MOST` scenes laid over each other: either
of the same objects at other places, as an estimate under a caption is, or of any objects. A guide
network that was shown both leads all the way from a blend to one scene (mixup, Zhang et al. 2017,
arXiv:1710.09412, with places).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from guidance_core.shapes import scenes
from guidance_core.shapes.scenes import Scene

MOST = 8


@dataclass(frozen=True)
class Blend:
    """Scenes and what each adds to the image, summing to 1."""

    scenes: tuple[Scene, ...]
    shares: tuple[float, ...]

    def image(self, side: int = scenes.SIDE) -> Tensor:
        """The scenes laid over each other: (3, side, side) in [0, 1]."""
        return mixed(scenes.render(list(self.scenes), side), self.shares)

    def drawn(self, generator: torch.Generator) -> Scene:
        """One of the scenes, at odds of the shares."""
        return self.scenes[
            int(torch.multinomial(torch.tensor(self.shares), 1, generator=generator))
        ]


def mixed(layers: Tensor, shares: tuple[float, ...]) -> Tensor:
    """Weighted mean of layers (N, ...)."""
    return torch.tensordot(torch.tensor(shares), layers, 1)


def blends(generator: torch.Generator, size: int) -> list[Blend]:
    """Draw `size` blends."""
    return [_blend(generator) for _ in range(size)]


def _blend(generator: torch.Generator) -> Blend:
    first = scenes.random_scene(generator)
    alone, alike = torch.rand(2, generator=generator).tolist()
    if alone < 0.5:
        return Blend((first,), (1.0,))
    count = int(torch.randint(1, MOST, (), generator=generator))
    others = [scenes.random_scene(generator, len(first.items)) for _ in range(count)]
    if alike < 0.5:
        others = [moved(first, other) for other in others]
    weights = -torch.rand(1 + count, generator=generator).clamp_min(1e-6).log()
    return Blend((first, *others), tuple((weights / weights.sum()).tolist()))


def moved(scene: Scene, other: Scene) -> Scene:
    """The scene's objects at another's places."""
    places = zip(scene.items, other.items, strict=True)
    return Scene(tuple(replace(item, x=place.x, y=place.y) for item, place in places))
