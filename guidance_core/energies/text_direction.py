"""A source image changed from what one text says to what another says, by CLIP.

References:
    DiffuseIT, Kwon and Ye 2023, arXiv:2209.15264, eqs. (9)-(10) and its code: the wanted embedding
    is the target text's, less a share of the source text's, plus a share of the source image's.
    Deviates: plus 1, so that it is a distance; one network in place of five (add energies for
    more); the whole image is always among the views.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..image.batches import cast_to_weights, check_images, expand_batch
from ..image.clip_views import Clip, Cutouts, check_clip
from ..networks.protocols import embedding_of
from ..process import full_precision
from ..types import Estimate


@dataclass(frozen=True, eq=False)
class TextDirection:
    """1 - cosine between the image's embedding and the wanted one, mean over views, in [0, 2].

    wanted = E(target) - away E(source) + keep E(reference), of unit length; all E are.

    Arguments:
        network: the CLIP model, a module.
        target: what the image should show.
        source: what the source image shows.
        reference: the source image, (1, 3, h, w) or (B, 3, h, w) in [0, 1], any size.
        away: share of the source text (DiffuseIT: 0.4).
        keep: share of the source image (DiffuseIT: 0.2).
        cutouts: random squares besides the whole image, >= 0 (DiffuseIT: 8).
        augment: tilt, shift and tint every cutout a little, against adversarial textures.
        least: side of the smallest cutout, as a fraction of the image's shorter side, in (0, 1].
        seed: seed of cutouts and augmentations.

    Raises:
        TypeError: a network without encode_text, such as a classifier.
        ValueError: an empty text, no images, a negative share, or cutouts out of range.
    """

    network: Clip
    target: str
    source: str
    reference: Tensor
    away: float = 0.4
    keep: float = 0.2
    cutouts: int = 8
    augment: bool = True
    least: float = 0.5
    seed: int = 0
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_clip(self.network, "a text direction")
        if not (self.target.strip() and self.source.strip()):
            raise ValueError(
                "source and target must both be texts, got an empty one: write what the source "
                "image shows, and what it should show"
            )
        check_images(self.reference)
        if self.away < 0 or self.keep < 0:
            raise ValueError(f"away and keep must be >= 0, got {self.away} and {self.keep}")
        self._parts(0.0)

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        views = [
            embedding_of(self.network, estimate),
            *estimate.image_through(self._parts(float(estimate.sigma[0]))),
        ]
        wanted = expand_batch(self._wanted, views[0])
        return torch.stack([1 - (full_precision(v) * wanted).sum(1) for v in views]).mean(0)

    @cached_property
    def _wanted(self) -> Tensor:
        """The wanted embedding, of unit length, shape (N, D); computed once."""
        with torch.no_grad():
            there = self.network.encode_image(cast_to_weights(self.reference, self.network))
            texts = full_precision(self.network.encode_text([self.target, self.source]))
        mixed = texts[:1] - self.away * texts[1:] + self.keep * full_precision(there)
        return normalize(mixed, dim=1)

    def _parts(self, sigma: float) -> Cutouts:
        return Cutouts(self.network, self.cutouts, self.augment, self.least, self.seed, sigma)
