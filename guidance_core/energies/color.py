"""The colour of the image, or of a part of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..image.masks import mask_at, mask_product
from ..process import full_precision
from ..types import Estimate


@dataclass(frozen=True, eq=False)
class MeanColor:
    """Squared distance between a mean colour and a target, in [0, 3].

    energy = sum_c (mean_c - target_c)^2, where the mean is over the `share` of the image (or of
    the masked area) that is nearest to the target already. share 1 tints all of it; a small share
    asks for something of that colour, wherever the image tends to it most.

    Arguments:
        target: RGB, shape (3,), values in [0, 1].
        share: part of the area that should have the colour, in (0, 1].
        mask: weight of each pixel, shape (H, W) or (B, H, W), values in [0, 1], any size; None is
            the whole image.

    Raises:
        ValueError: target does not have three values in [0, 1], or share lies outside (0, 1].
    """

    target: Tensor
    share: float = 1.0
    mask: Tensor | None = None
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.target.shape != (3,) or self.target.min() < 0 or self.target.max() > 1:
            values = ", ".join(f"{value:g}" for value in self.target.flatten().tolist())
            raise ValueError(f"target must be RGB, three values in [0, 1], got {values}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share}")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        image = full_precision(estimate.image)
        pixels, target = image.flatten(2), self.target.to(image)
        weights = torch.ones_like(pixels[:, 0])
        if self.mask is not None:
            weights = mask_at(self.mask, image).flatten(1)
        if self.share < 1:
            weights = _nearest(pixels.detach(), target, weights, self.share)
        mean = (pixels * weights[:, None]).sum(2) / weights.sum(1, keepdim=True)
        return (mean - target).square().sum(1)

    def within(self, mask: Tensor) -> MeanColor:
        """The same colour for a part of the image."""
        return replace(self, mask=mask_product(mask, self.mask))


def _nearest(pixels: Tensor, target: Tensor, weights: Tensor, share: float) -> Tensor:
    """Weights (B, N) of the share of the area whose colours (B, 3, N) are nearest to the target."""
    distance = (pixels - target[:, None]).square().sum(1)
    order = distance.argsort(dim=1, stable=True)
    sorted_weights = weights.gather(1, order)
    area = sorted_weights.cumsum(1) - sorted_weights
    budget = share * weights.sum(1, keepdim=True)
    kept = torch.minimum(sorted_weights, (budget - area).clamp_min(0))
    return torch.zeros_like(weights).scatter(1, order, kept)
