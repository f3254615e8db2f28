"""A few colours that every pixel should have one of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from ..image.masks import mask_product, masked_mean
from ..process import full_precision, lengths
from ..types import Estimate


@dataclass(frozen=True, eq=False)
class Palette:
    """Mean squared distance of each pixel to the nearest colour of a palette, in [0, 3].

    How much of the image each colour takes is left open.

    Arguments:
        colors: shape (N, 3), RGB in [0, 1].
        mask: weight of each pixel, shape (H, W) or (B, H, W), values in [0, 1], any size.

    Raises:
        ValueError: no colours, or values outside [0, 1].
    """

    colors: Tensor
    mask: Tensor | None = None
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.colors.ndim != 2 or len(self.colors) == 0 or self.colors.shape[1] != 3:
            raise ValueError(
                f"a palette is RGB colours, N x 3 with N >= 1, got {lengths(self.colors)}"
            )
        if self.colors.min() < 0 or self.colors.max() > 1:
            raise ValueError("colours of a palette must be in [0, 1]")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        image = full_precision(estimate.image)
        colors = self.colors.to(image)[None, :, :, None, None]
        distance = (image[:, None] - colors).square().sum(2).amin(1, keepdim=True)
        return masked_mean(distance, self.mask)

    def within(self, mask: Tensor) -> Palette:
        """The same palette, for a part of the image."""
        return replace(self, mask=mask_product(mask, self.mask))
