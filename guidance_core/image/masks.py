"""Masks: brought to the size of an image, multiplied, averaged over, framed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def mask_at(mask: Tensor, image: Tensor) -> Tensor:
    """A mask (H, W) or (B, H, W) at the size of an image (B, C, h, w), shape (B, h, w).

    Raises:
        ValueError: the mask's batch is neither 1 nor that of the image.
    """
    layers = mask[None] if mask.ndim == 2 else mask
    check_rows(layers, image.shape[0])
    resized = F.interpolate(layers[:, None].to(image), image.shape[-2:], mode="area")[:, 0]
    return resized.expand(image.shape[0], -1, -1)


def check_rows(layers: Tensor, count: int) -> None:
    """Refuse masks (N, H, W) that are neither one for all nor one for each of `count` samples.

    Raises:
        ValueError: they are not.
    """
    if layers.shape[0] not in (1, count):
        raise ValueError(
            f"mask has {layers.shape[0]} images, the latent batch {count}: "
            "use one mask for all, or one per sample"
        )


def mask_over(mask: Tensor, maps: Tensor) -> Tensor:
    """A mask (H, W) or (B, H, W) at the size of maps (B, C, ..., h, w): (B, 1, ..., h, w).

    Raises:
        ValueError: the mask's batch is neither 1 nor that of the maps.
    """
    there = mask_at(mask, maps)
    return there.reshape(len(there), *(1,) * (maps.ndim - 3), *there.shape[1:])


def box_mask(edges: Sequence[float], cells: int = 256) -> Tensor:
    """Part of each cell of a square grid over the image that a box covers, (cells, cells).

    Arguments:
        edges: left, top, right and bottom in [0, 1] of the image.
        cells: of a side of the grid.

    Raises:
        ValueError: an empty box, or one that reaches out of the image.
    """
    left, top, right, bottom = edges
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(
            "a box needs left < right and top < bottom in [0, 1], got "
            f"{left:g} {top:g} {right:g} {bottom:g}: move its edges"
        )
    starts = torch.arange(cells, dtype=torch.float64)
    across, down = (
        ((starts + 1).clamp(max=end * cells) - starts.clamp(min=start * cells)).clamp(min=0)
        for start, end in ((left, right), (top, bottom))
    )
    return torch.outer(down, across).float()


def mask_product(mask: Tensor, other: Tensor | None) -> Tensor:
    """Where both masks are, each (H, W) or (B, H, W), at the size of the first; None is all."""
    if other is None:
        return mask
    first, second = (part[None] if part.ndim == 2 else part for part in (mask, other))
    resized = F.interpolate(second[:, None].to(first), first.shape[-2:], mode="area")[:, 0]
    product = first * resized
    return product[0] if mask.ndim == other.ndim == 2 else product


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of values (B, C, h, w), weighted by a mask (H, W) or (B, H, W) if any, shape (B,).

    A row whose mask is black has mean 0.
    """
    if mask is None:
        return values.flatten(1).mean(1)
    weights = mask_at(mask, values).flatten(1)
    total = weights.sum(1).clamp_min(torch.finfo(weights.dtype).tiny)
    return (values.mean(1).flatten(1) * weights).sum(1) / total


def square_around(mask: Tensor) -> tuple[slice, slice]:
    """Rows and columns of the smallest square around a mask (H, W), as far as it reaches."""
    from torchvision.ops import masks_to_boxes  # heavy: only where an area is cut out

    left, top, right, bottom = (int(edge) for edge in masks_to_boxes(mask[None] > 0)[0])
    right, bottom = right + 1, bottom + 1
    side = max(bottom - top, right - left)
    height, width = mask.shape
    return _around(top, bottom, min(side, height), height), _around(
        left, right, min(side, width), width
    )


def _around(first: int, last: int, side: int, size: int) -> slice:
    start = min(max((first + last - side) // 2, 0), size - side)
    return slice(start, start + side)


def with_margin(square: tuple[slice, slice], margin: int, mask: Tensor) -> tuple[slice, slice]:
    """Rows and columns of a mask (H, W) with as many more on each side, as far as it reaches."""
    rows, columns = (
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, size in zip(square, mask.shape, strict=True)
    )
    return rows, columns
