"""The structure of a reference: which of its parts resemble each other, by a ViT's keys.

References:
    Splicing ViT Features for Semantic Appearance Transfer, Tumanyan et al. 2022, arXiv:2201.00424,
    eq. (3) (self-similarity); DiffuseIT, Kwon and Ye 2023, arXiv:2209.15264, eq. (5) (contrast).
    Deviates: the self-similarity is a mean over pairs, not a Frobenius norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..image.batches import cast_to_weights, check_images, expand_batch
from ..networks.protocols import TokenNetwork, check_tokens
from ..process import full_precision
from ..types import Estimate

KINDS = ("self-similarity", "contrast")


@dataclass(frozen=True, eq=False)
class Structure:
    """How differently the image and a reference are laid out, whatever their colours.

    self-similarity: mean squared difference of the cosine similarities of every two patches' keys,
        in [0, 4].
    contrast: cross-entropy in nats of finding, for each patch of the image, the same patch of the
        reference before all other patches of the image itself.

    Arguments:
        network: a ViT, a module.
        reference: images (1, 3, h, w) or (B, 3, h, w) in [0, 1], any size.
        kind: self-similarity or contrast.
        temperature: of the contrast (DiffuseIT: 0.07).

    Raises:
        TypeError: another kind of network.
        ValueError: no images, another kind, or a temperature that is not positive.
    """

    network: TokenNetwork
    reference: Tensor
    kind: str = "self-similarity"
    temperature: float = 0.07
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_tokens(self.network, "structure")
        check_images(self.reference)
        if self.kind not in KINDS:
            raise ValueError(f"kind must be self-similarity or contrast, got '{self.kind}'")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        keys = F.normalize(full_precision(estimate.image_through(self.network.tokens).keys), dim=2)
        target = expand_batch(self._target, keys)
        if self.kind == "self-similarity":
            return (keys @ keys.mT - target @ target.mT).square().flatten(1).mean(1)
        same = (keys * target).sum(2) / self.temperature
        own = keys @ keys.mT / self.temperature
        itself = torch.eye(keys.shape[1], dtype=torch.bool, device=keys.device)
        others = own.masked_fill(itself, -torch.inf)
        both = torch.cat([same[..., None], others], 2)
        return (both.logsumexp(2) - same).mean(1)

    @cached_property
    def _target(self) -> Tensor:
        """Unit keys of the reference's patches, shape (N, patches, D); computed once."""
        with torch.no_grad():
            tokens = self.network.tokens(cast_to_weights(self.reference, self.network))
        return F.normalize(full_precision(tokens.keys), dim=2)
