"""An image without grain.

References:
    Nonlinear total variation based noise removal, Rudin, Osher and Fatemi 1992, Physica D 60
    (edges kept); squared differences as in CLIP guided diffusion, Crowson 2021 (edges softened).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from ..image.masks import mask_product, masked_mean
from ..process import full_precision
from ..types import Estimate


@dataclass(frozen=True, eq=False)
class Smoothness:
    """Total variation: how much neighbouring pixels differ, in [0, 2]; 0 is a flat image.

    Sum over right and lower neighbours, mean over pixels and channels.

    Arguments:
        keep_edges: absolute differences, which leave edges sharp; False squares them, which softens
            edges first.
        mask: weight of each pixel, shape (H, W) or (B, H, W), values in [0, 1], any size.
    """

    keep_edges: bool = True
    mask: Tensor | None = None
    reads_image: ClassVar[bool] = True

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        image = full_precision(estimate.image)
        # The last row and column have no neighbour: they differ from it by nothing.
        down = F.pad(image.diff(dim=2), (0, 0, 0, 1))
        right = F.pad(image.diff(dim=3), (0, 1))
        if self.keep_edges:
            return masked_mean(down.abs() + right.abs(), self.mask)
        return masked_mean(down.square() + right.square(), self.mask)

    def within(self, mask: Tensor) -> Smoothness:
        """The same smoothness, of a part of the image."""
        return replace(self, mask=mask_product(mask, self.mask))
