"""A reference image, compared pixel by pixel or by a network's features.

References:
    The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, Zhang et al. 2018,
    arXiv:1801.03924, eq. (1), for features. Deviates: every channel counts alike (no learned
    weights), and any network with feature maps will do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..image.batches import cast_to_weights, check_images, expand_batch, resize_to
from ..image.masks import mask_product, masked_mean
from ..networks.protocols import FeatureNetwork, blocks_of, check_features
from ..process import full_precision
from ..types import Estimate

DISTANCES = ("l1", "l2", "features")


@dataclass(frozen=True, eq=False)
class ReferenceImage:
    """How far the image is from a reference.

    l1: mean absolute difference, in [0, 1]; l2: mean squared difference, in [0, 1]; features: mean
    over a network's layers and places of the squared distance of the channels, each place's
    channels scaled to unit length, in [0, 4].

    Arguments:
        reference: images (1, 3, h, w) or (B, 3, h, w) in [0, 1]; resized where they are compared.
        distance: l1, l2 or features.
        network: for features, has `blocks`.
        mask: weight of each place, shape (H, W) or (B, H, W), values in [0, 1], any size.

    Raises:
        TypeError: a network without feature maps.
        ValueError: an unknown distance, features without a network, or no images.
    """

    reference: Tensor
    distance: str = "l2"
    network: FeatureNetwork | None = None
    mask: Tensor | None = None
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_images(self.reference)
        if self.distance not in DISTANCES:
            raise ValueError(f"distance must be l1, l2 or features, got '{self.distance}'")
        if self.distance == "features":
            check_features(self.network, "distance 'features'")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        if self.distance == "features" and self.network is not None:
            return self._by_features(blocks_of(self.network, estimate))
        image = full_precision(estimate.image)
        difference = image - resize_to(self.reference, image)
        size = difference.abs() if self.distance == "l1" else difference.square()
        return masked_mean(size, self.mask)

    def _by_features(self, layers: list[Tensor]) -> Tensor:
        """Energy of feature maps (B, D, h, w), one per layer."""
        values = []
        for layer, target in zip(layers, self._target, strict=True):
            difference = F.normalize(full_precision(layer), dim=1) - expand_batch(target, layer)
            squared = difference.square().sum(1, keepdim=True)
            values.append(masked_mean(squared, self.mask))
        return torch.stack(values).mean(0)

    @cached_property
    def _target(self) -> list[Tensor]:
        """Feature maps of the reference, channels of unit length; computed once."""
        if self.network is None:
            return []
        with torch.no_grad():
            layers = self.network.blocks(cast_to_weights(self.reference, self.network))
        return [F.normalize(full_precision(layer), dim=1) for layer in layers]

    def within(self, mask: Tensor) -> ReferenceImage:
        """The same reference, for a part of the image."""
        return replace(self, mask=mask_product(mask, self.mask))
