"""Judge an image of Shapes from its pixels alone: palette, connected components, area, outline.

No network takes part, so what guides an image is never what judges it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..process import lengths
from . import scenes
from .scenes import PALETTE, SHAPES, SIDE, SIZES, Item

# Equal-area radius in pixels that parts small from big: half-way between the two ranges.
SPLIT = (SIZES["small"][1] + SIZES["big"][0]) / 2
# Radii accepted at all, a little wider than any scene has.
RADII = (SIZES["small"][0] * 0.85, SIZES["big"][1] * 1.15)
# Share of an object's pixels of its own palette colour, and overlap with its ideal outline.
PURITY, OVERLAP = 0.8, 0.8
# Components of fewer pixels are edge noise of the decoder, not objects and not dirt.
SPECK = 12
# Largest distance of an object's mean colour from the palette's, in RGB units of [0, 1].
COLOUR_TOLERANCE = 0.2


@dataclass(frozen=True)
class Verdict:
    """What an image shows: its whole objects, and whether it shows nothing else (`clean`)."""

    items: tuple[Item, ...]
    clean: bool

    def has(self, label: str) -> bool:
        """Whether some whole object is of this colour, shape or size."""
        if label not in scenes.LABELS:
            raise ValueError(f"label must be one of {', '.join(scenes.LABELS)}, got '{label}'")
        return any(label in (i.shape, i.colour, i.size) for i in self.items)

    def matches(self, caption: str) -> bool:
        """Whether the image is clean and shows exactly the objects of the caption."""
        wanted = [set(part.split()) & set(scenes.LABELS) for part in caption.split(" and ")]
        shown = [{i.shape, i.colour, i.size} for i in self.items]
        return (
            self.clean
            and len(wanted) == len(shown)
            and any(
                all(w <= s for w, s in zip(wanted, order, strict=True))
                for order in itertools.permutations(shown)
            )
        )


def judge(images: Tensor) -> list[Verdict]:
    """One verdict an image; `images` (B, 3, 128, 128), RGB in [0, 1].

    Raises:
        ValueError: the images are of another size or have no three channels.
    """
    seen = nearest(images).numpy()
    pixels = images.detach().float().cpu().numpy()
    return [_judge_one(image, colours) for image, colours in zip(pixels, seen, strict=True)]


def nearest(images: Tensor) -> Tensor:
    """The colour that each pixel is nearest to: (B, 128, 128), 0 is the ground, then the palette's.

    Raises:
        ValueError: the images are of another size or have no three channels.
    """
    if images.shape[1:] != (3, SIDE, SIDE):
        raise ValueError(f"expected images of B x 3 x {SIDE} x {SIDE}, got {lengths(images)}")
    images = images.detach().float().cpu()
    colours = torch.tensor([scenes.BACKGROUND, *PALETTE.values()]).float() / 255
    distance = (images[:, None] - colours[None, :, :, None, None]).square().sum(2)
    return distance.argmin(1)


def _judge_one(image: np.ndarray, nearest: np.ndarray) -> Verdict:
    parts = [p for p in components(nearest > 0) if p.sum() >= SPECK]
    items = [item for part in parts if (item := _item(image, nearest, part))]
    return Verdict(tuple(items), clean=len(items) == len(parts) and 1 <= len(items) <= 2)


def components(mask: np.ndarray) -> list[np.ndarray]:
    """The 4-connected parts of a boolean mask, each a mask of the same shape."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        grown = labels.copy()
        for axis, shift in itertools.product((0, 1), (1, -1)):
            grown = np.maximum(grown, _shifted(labels, axis, shift))
        grown *= mask
        # Jump to the label's own label: components merge in a handful of rounds.
        flat = np.concatenate(([0], grown.ravel()))
        grown = flat[flat[grown]] * mask
        if (grown == labels).all():
            return [labels == value for value in np.unique(labels) if value]
        labels = grown


def _shifted(a: np.ndarray, axis: int, shift: int) -> np.ndarray:
    """`a` moved by one pixel, zeros coming in at the edge."""
    moved = np.roll(a, shift, axis)
    moved[(slice(None),) * axis + (0 if shift > 0 else -1,)] = 0
    return moved


def _item(image: np.ndarray, nearest: np.ndarray, part: np.ndarray) -> Item | None:
    """The whole object that this component is, or None."""
    counts = np.bincount(nearest[part], minlength=len(PALETTE) + 1)
    colour = tuple(PALETTE)[int(counts[1:].argmax())]
    radius = math.sqrt(part.sum() / math.pi)
    core = part & (nearest == counts[1:].argmax() + 1)
    off = np.linalg.norm(image[:, core].mean(1) - np.array(PALETTE[colour]) / 255)
    if core.sum() < PURITY * part.sum() or off > COLOUR_TOLERANCE:
        return None
    if not RADII[0] <= radius <= RADII[1] or _touches_edge(part):
        return None
    y, x = (float(axis.mean()) + 0.5 for axis in np.nonzero(part))
    size = "small" if radius < SPLIT else "big"
    item = Item("circle", colour, size, x, y, radius)
    overlap, shape = max((_overlap(replace(item, shape=s), part), s) for s in SHAPES)
    return replace(item, shape=shape) if overlap >= OVERLAP else None


def _touches_edge(part: np.ndarray) -> bool:
    return bool(part[[0, -1]].any() or part[:, [0, -1]].any())


def _overlap(item: Item, part: np.ndarray) -> float:
    """Intersection over union of a component with the ideal object."""
    ideal = scenes.inside(item).numpy()
    return float((ideal & part).sum() / (ideal | part).sum())
