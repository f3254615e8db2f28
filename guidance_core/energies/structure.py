"""The structure of a reference: which of its parts resemble each other, by a ViT's keys.

References:
    Splicing ViT Features for Semantic Appearance Transfer, Tumanyan et al. 2022, arXiv:2201.00424,
    eq. (3) (self-similarity); DiffuseIT, Kwon and Ye 2023, arXiv:2209.15264, eqs. (4)-(7) and its
    code (contrast, the class token of the step before, and their weights).
    Deviates: the self-similarity is a mean over pairs, not a Frobenius norm (as in the code);
    class tokens are compared after the network's last normalisation; weights are a thousandth of
    the published ones; "away" ends by the noise level where the code's number of steps does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..image.batches import cast_to_weights, check_images, expand_batch
from ..networks.protocols import TokenNetwork, ViTTokens, check_tokens
from ..process import full_precision
from ..types import Estimate

KINDS = ("self-similarity", "contrast", "diffuseit")
CONTRAST, AWAY = 0.2, 0.1  # DiffuseIT's weights, of its self-similarity's
# sigma / alpha at timestep 500 of 1000 of its model, down to which it moves away.
AWAY_UNTIL = 3.4


@dataclass(frozen=True, eq=False)
class Structure:
    """How differently the image and a reference are laid out, whatever their colours.

    self-similarity: mean squared difference of the cosine similarities of every two keys, of
        patches and class token, in [0, 4].
    contrast: cross-entropy in nats of finding, for each key of the image, the reference's key at
        the same place among all keys of the reference.
    diffuseit: self-similarity + 0.2 contrast - 0.1 of the mean squared difference of the class
        token from that of the step before, the last at noise to signal above 3.4 only.

    Arguments:
        network: a ViT, a module.
        reference: images (1, 3, h, w) or (B, 3, h, w) in [0, 1], any size.
        kind: diffuseit, self-similarity or contrast.
        temperature: of the contrast (DiffuseIT: 0.07).

    Raises:
        TypeError: another kind of network.
        ValueError: no images, another kind, or a temperature that is not positive.
    """

    network: TokenNetwork
    reference: Tensor
    kind: str = "diffuseit"
    temperature: float = 0.07
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_tokens(self.network, "structure")
        check_images(self.reference)
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got '{self.kind}'")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        seen = estimate.image_through(self.network.tokens)
        keys = _unit_keys(seen)
        target = expand_batch(self._target, keys)
        if self.kind == "self-similarity":
            return _similarity(keys, target)
        contrast = self._contrast(keys, target)
        if self.kind == "contrast":
            return contrast
        away = self._away(estimate, full_precision(seen.pooled))
        return _similarity(keys, target) + CONTRAST * contrast - AWAY * away

    def _contrast(self, keys: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy (B,) of the places of keys (B, N, D) among those of the target."""
        scores = keys @ target.mT / self.temperature
        return (scores.logsumexp(2) - scores.diagonal(dim1=1, dim2=2)).mean(1)

    def _away(self, estimate: Estimate, pooled: Tensor) -> Tensor:
        """How far class tokens (B, D) are from those of the noise level before, squared, (B,)."""
        level, memory = float(estimate.sigma[0]), estimate.notes.memory
        now, latest, before = memory.get(self, (level, None, None))
        before = latest if now != level else before
        memory[self] = level, pooled.detach(), before
        alpha = 1.0 if estimate.alpha is None else float(estimate.alpha[0])
        if before is None or before.shape != pooled.shape or level < AWAY_UNTIL * alpha:
            return pooled.new_zeros(len(pooled))
        return (pooled - before).square().mean(1)

    @cached_property
    def _target(self) -> Tensor:
        """Unit keys of the reference, shape (N, places, D); computed once."""
        with torch.no_grad():
            return _unit_keys(self.network.tokens(cast_to_weights(self.reference, self.network)))


def _unit_keys(tokens: ViTTokens) -> Tensor:
    return F.normalize(full_precision(tokens.all_keys), dim=2)


def _similarity(keys: Tensor, target: Tensor) -> Tensor:
    return (keys @ keys.mT - target @ target.mT).square().flatten(1).mean(1)
