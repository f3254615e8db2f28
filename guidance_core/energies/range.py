"""A latent whose values stay in the range that its decoder knows.

References:
    DiffuseIT, Kwon and Ye 2023, arXiv:2209.15264, its code (range loss); before it CLIP guided
    diffusion, Crowson 2021: the squared part of every value of the clean estimate that is outside
    of [-1, 1]. Deviates: `limit` in place of 1, since latents are not pixels; at 1, on a model of
    pixels, it is the published one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ..process import full_precision
from ..types import Estimate


@dataclass(frozen=True)
class Range:
    """Mean squared excess of the clean estimate's values over +-limit; 0 inside of it.

    Arguments:
        limit: largest value that costs nothing, in standard deviations of the model's latents, > 0.

    Raises:
        ValueError: a limit that is not positive.
    """

    limit: float = 4.0

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise ValueError(f"limit must be > 0, got {self.limit}")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        excess = F.relu(full_precision(estimate.x0).abs() - self.limit)
        return excess.square().flatten(1).mean(1)
