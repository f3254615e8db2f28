"""The appearance of a reference: by a ViT's class token.

References:
    Splicing ViT Features for Semantic Appearance Transfer, Tumanyan et al. 2022, arXiv:2201.00424,
    eq. (2); DiffuseIT, Kwon and Ye 2023, arXiv:2209.15264, eq. (8) (image-guided translation).
    Deviates: measured by the reference's own class token, so that networks share one scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from ..image.batches import cast_to_weights, check_images, expand_batch
from ..networks.protocols import TokenNetwork, check_tokens
from ..process import full_precision
from ..types import Estimate


@dataclass(frozen=True, eq=False)
class Semblance:
    """Squared distance of class tokens in units of the reference's; 0 looks like the reference.

    Arguments:
        network: a ViT, a module.
        reference: images (1, 3, h, w) or (B, 3, h, w) in [0, 1], any size.

    Raises:
        TypeError: another kind of network.
        ValueError: no images.
    """

    network: TokenNetwork
    reference: Tensor
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_tokens(self.network, "appearance")
        check_images(self.reference)

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        pooled = full_precision(estimate.image_through(self.network.tokens).pooled)
        target = expand_batch(self._target, pooled)
        size = target.square().sum(1).clamp_min(torch.finfo(target.dtype).tiny)
        return (pooled - target).square().sum(1) / size

    @cached_property
    def _target(self) -> Tensor:
        """Class tokens of the reference, shape (N, D); computed once."""
        with torch.no_grad():
            tokens = self.network.tokens(cast_to_weights(self.reference, self.network))
        return full_precision(tokens.pooled)
