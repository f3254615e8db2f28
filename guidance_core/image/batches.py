"""Reference images: checked once, brought to the size and the place where they are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..process import lengths


def check_images(images: Tensor, name: str = "reference") -> None:
    """Refuse what is not images (N, 3, h, w) in [0, 1] with a ValueError."""
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise ValueError(f"{name} must be images, N x 3 x height x width, got {lengths(images)}")
    if not (images.isfinite().all() and images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"{name} must have values in [0, 1]")


def expand_batch(values: Tensor, image: Tensor, name: str = "reference") -> Tensor:
    """Values (1, ...) or (B, ...) as (B, ...) of the images (B, 3, H, W), on their device.

    Raises:
        ValueError: the values' batch is neither 1 nor that of the images.
    """
    if values.shape[0] not in (1, image.shape[0]):
        raise ValueError(
            f"{name} has {values.shape[0]} images, the latent batch {image.shape[0]}: "
            "use one for all, or one per sample"
        )
    return values.to(image).expand(image.shape[0], *values.shape[1:])


def resize_to(reference: Tensor, image: Tensor) -> Tensor:
    """Reference images at the size, batch, dtype and device of images (B, 3, H, W)."""
    reference, size = expand_batch(reference, image), image.shape[-2:]
    if reference.shape[-2:] == size:
        return reference
    return interpolate(reference, size, mode="bilinear", antialias=True, align_corners=False)


def cast_to_weights(images: Tensor, network: Any) -> Tensor:
    """Images in the dtype and on the device of a network's weights."""
    weight = next(network.parameters(), None)
    return images if weight is None else images.to(weight)


def network_input(
    image: Tensor, side: int, mean: Tensor | Sequence[float], std: Tensor | Sequence[float]
) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] as a transformer wants them: (B, 3, side, side), normalised.

    Arguments:
        image: the images; other proportions are squeezed to a square.
        side: in pixels.
        mean: of each channel, shape (3, 1, 1) or three numbers, in units of [0, 1].
        std: likewise.
    """
    small = interpolate(image, (side, side), mode="bicubic", antialias=True, align_corners=False)
    centre, spread = (torch.as_tensor(part).to(small).view(3, 1, 1) for part in (mean, std))
    return (small - centre) / spread
