"""Synthetic scenes: one or two flat objects (size x colour x shape) on a plain background.

A scene is data (`Scene`), its image is drawn from it exactly (`render`), and its caption names
the objects but never where they are, so that place is left for guidance to decide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

SIDE = 128
BACKGROUND = (40, 44, 52)
PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (220, 50, 47),
    "green": (60, 180, 75),
    "blue": (50, 90, 220),
    "yellow": (250, 220, 50),
    "purple": (160, 60, 200),
    "white": (245, 245, 245),
}
SHAPES = ("circle", "square", "triangle")
# Radius in pixels of the circle of the same area; every shape of one size covers the same area.
SIZES: dict[str, tuple[float, float]] = {"small": (12.0, 14.0), "big": (19.0, 22.0)}
LABELS = (*SHAPES, *PALETTE, *SIZES)
# Half width, top and bottom of a shape as seen from its centroid, in radii.
EXTENTS = {
    "circle": (1, 1, 1),
    "square": (0.8862, 0.8862, 0.8862),
    "triangle": (1.3468, 1.5551, 0.7776),
}
MARGIN = 4.0
GAP = 8.0


@dataclass(frozen=True)
class Item:
    """One object: names, centre in pixels (x right, y down) and equal-area radius in pixels."""

    shape: str
    colour: str
    size: str
    x: float
    y: float
    radius: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Bounding box in pixels: left, top, right, bottom."""
        half, top, bottom = (self.radius * extent for extent in EXTENTS[self.shape])
        return self.x - half, self.y - top, self.x + half, self.y + bottom


@dataclass(frozen=True)
class Scene:
    """One or two objects that do not touch."""

    items: tuple[Item, ...]

    def caption(self, words: tuple[str, ...] = ("size", "colour", "shape")) -> str:
        """The scene in words, objects joined by "and"; `words` chooses what is named of each."""
        named = [" ".join(getattr(item, word) for word in words) for item in self.items]
        return " and ".join(f"a {name}" for name in named)


def random_scene(generator: torch.Generator, count: int | None = None) -> Scene:
    """Draw a scene of `count` objects (1 or 2 at equal odds when None) from `generator`."""
    items = [_random_item(generator) for _ in range(count or 1 + _index(2, generator))]
    while True:
        placed = [_at_random_place(item, generator) for item in items]
        if len(placed) == 1 or apart(*placed):
            return Scene(tuple(placed))


def apart(one: Item, other: Item) -> bool:
    """Whether there is a gap between the boxes of two objects, as in every scene."""
    a, b = one.box, other.box
    return any(a[i] > b[i + 2] + GAP or b[i] > a[i + 2] + GAP for i in (0, 1))


def render(scenes: list[Scene], side: int = SIDE) -> Tensor:
    """Draw scenes with anti-aliased edges: (B, 3, side, side) float32 in [0, 1]."""
    x, y = _grid(side)
    background = torch.tensor(BACKGROUND).view(3, 1, 1) / 255
    images = background.expand(len(scenes), 3, side, side).clone()
    for image, scene in zip(images, scenes, strict=True):
        for item in scene.items:
            cover = (0.5 - _distance(item, x, y) * (side / SIDE)).clamp(0, 1)
            image.lerp_(torch.tensor(PALETTE[item.colour]).view(3, 1, 1) / 255, cover)
    return images


def inside(item: Item) -> Tensor:
    """Pixels of the image that lie inside the object: (SIDE, SIDE) bool."""
    return _distance(item, *_grid(SIDE)) < 0


def _grid(side: int) -> tuple[Tensor, Tensor]:
    """Pixel centres x and y in scene units, each (side, side)."""
    axis = (torch.arange(side) + 0.5) * (SIDE / side)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def _distance(item: Item, x: Tensor, y: Tensor) -> Tensor:
    """Distance in pixels to the outline, negative inside (exact near the edges)."""
    x, y = x - item.x, y - item.y
    if item.shape == "circle":
        return (x.square() + y.square()).sqrt() - item.radius
    if item.shape == "square":
        return torch.maximum(x.abs(), y.abs()) - item.radius * math.sqrt(math.pi) / 2
    inradius = item.radius * math.sqrt(math.pi / (3 * math.sqrt(3)))
    slope = math.sqrt(3) / 2
    return torch.maximum(y, slope * x.abs() - 0.5 * y) - inradius


def _index(n: int, generator: torch.Generator) -> int:
    return int(torch.randint(n, (), generator=generator))


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _random_item(generator: torch.Generator) -> Item:
    shape = SHAPES[_index(len(SHAPES), generator)]
    colour = tuple(PALETTE)[_index(len(PALETTE), generator)]
    size = tuple(SIZES)[_index(len(SIZES), generator)]
    return Item(shape, colour, size, 0.0, 0.0, _uniform(*SIZES[size], generator))


def _at_random_place(item: Item, generator: torch.Generator) -> Item:
    left, top, right, bottom = item.box
    x = _uniform(MARGIN - left, SIDE - MARGIN - right, generator)
    y = _uniform(MARGIN - top, SIDE - MARGIN - bottom, generator)
    return replace(item, x=x, y=y)
