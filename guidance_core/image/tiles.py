"""Overlapping tiles: evaluate a large field piece by piece, and blend the pieces.

References:
    MultiDiffusion, Bar-Tal et al. 2023, arXiv:2302.08113, eq. (5): the least-squares mean of the
    tiles' estimates.
    Deviates: weights fall linearly to the edge of a tile, so that no seam shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Window = tuple[slice, slice]


def starts(length: int, side: int, overlap: int) -> list[int]:
    """Where tiles begin along an axis: as few as cover it, evenly spaced, from 0 to its end.

    Arguments:
        length: of the axis.
        side: of a tile, in [1, length].
        overlap: least number of places that neighbours share, in [0, side).

    Raises:
        ValueError: a side or overlap out of these bounds.
    """
    if not 1 <= side <= length:
        raise ValueError(f"a tile must have 1 to {length} places, got {side}")
    if not 0 <= overlap < side:
        raise ValueError(f"overlap must be 0 to {side - 1} places, got {overlap}")
    count = math.ceil((length - overlap) / (side - overlap))
    if count == 1:
        return [0]
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def windows(size: tuple[int, int], side: int, overlap: int) -> Iterator[Window]:
    """Windows of all tiles of a field of height and width; a side is cut to the shorter of both."""
    tall, wide = (min(side, length) for length in size)
    for top in starts(size[0], tall, min(overlap, tall - 1)):
        for left in starts(size[1], wide, min(overlap, wide - 1)):
            yield slice(top, top + tall), slice(left, left + wide)


def weights(height: int, width: int) -> Tensor:
    """How much a place counts in a tile, shape (height, width): 1 in the middle, least at edges."""
    ramp = lambda length: torch.arange(1, length + 1).minimum(torch.arange(length, 0, -1)).float()
    rows, columns = ramp(height), ramp(width)
    return (rows / rows.max())[:, None] * (columns / columns.max())[None]


def tiled(
    evaluate: Callable[[Tensor, Window], Tensor], x: Tensor, side: int, overlap: int
) -> Tensor:
    """Evaluate x in overlapping tiles, and return their weighted mean, shape of the whole.

    Arguments:
        evaluate: takes a tile (..., h, w) and its window to a result of the same shape.
        x: shape (..., H, W).
        side: of a tile, >= 1; axes that are shorter are taken whole.
        overlap: of neighbouring tiles, at least, >= 0.
    """
    total, count = x.new_zeros(x.shape), x.new_zeros(x.shape[-2:])
    for window in windows((x.shape[-2], x.shape[-1]), side, overlap):
        rows, columns = window
        part = evaluate(x[..., rows, columns], window)
        weight = weights(*part.shape[-2:]).to(x)
        total[..., rows, columns] += part.to(x) * weight
        count[window] += weight
    return total / count
