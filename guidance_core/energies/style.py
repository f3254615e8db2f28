"""The style of a reference: which features go together, wherever they are.

References:
    Image Style Transfer Using Convolutional Neural Networks, Gatys et al. 2016, eq. (3)-(5);
    FreeDoM, Yu et al. 2023, arXiv:2303.09833 (tokens of CLIP ViT-B/16's third block without the
    class token). Deviates: measured by the size of the reference's own Gram matrix, so that
    networks and layers share one scale, and squared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from ..image.batches import cast_to_weights, check_images, expand_batch
from ..networks.protocols import FeatureNetwork, blocks_of, check_features
from ..process import full_precision
from ..types import Estimate


@dataclass(frozen=True, eq=False)
class Style:
    """Squared distance between Gram matrices, in units of the reference's; mean over layers.

    0 at the same style, 1 for an image without any feature.

    Arguments:
        network: has `blocks`: a CLIP, a ViT, or a classifier such as VGG.
        reference: images (1, 3, h, w) or (B, 3, h, w) in [0, 1], any size.
        layers: which blocks, counted from 0 (FreeDoM: 2); negative ones count from the end.

    Raises:
        TypeError: a network without feature maps.
        ValueError: no layers, no images, or (when called) a layer that the network lacks.
    """

    network: FeatureNetwork
    reference: Tensor
    layers: tuple[int, ...] = (2,)
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_features(self.network, "style")
        check_images(self.reference)
        if not self.layers:
            raise ValueError("style needs at least one layer of the network, such as 2")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        pairs = self.pairs(blocks_of(self.network, estimate))
        return torch.stack([_apart(gram, far) for gram, far in pairs]).mean(0)

    @property
    def squared_norm(self) -> GramNorm:
        """The same, as the square of what FreeDoM, MPGD and TFG follow."""
        return GramNorm(self)

    def pairs(self, blocks: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Gram matrices (B, D, D) of the image and of the reference, for each layer."""
        grams = self._grams(blocks)
        return [
            (gram, expand_batch(far, gram)) for gram, far in zip(grams, self._target, strict=True)
        ]

    @cached_property
    def _target(self) -> list[Tensor]:
        """Gram matrices of the reference; computed once."""
        with torch.no_grad():
            return self._grams(self.network.blocks(cast_to_weights(self.reference, self.network)))

    def _grams(self, blocks: list[Tensor]) -> list[Tensor]:
        """Mean of f f^T over places, shape (B, D, D), of each layer's features (B, D, h, w)."""
        wrong = [layer for layer in self.layers if not -len(blocks) <= layer < len(blocks)]
        if wrong:
            raise ValueError(
                f"the network has blocks 0 to {len(blocks) - 1}, there is no layer {wrong[0]}"
            )
        flat = [full_precision(blocks[layer]).flatten(2) for layer in self.layers]
        return [features @ features.mT / features.shape[2] for features in flat]


@dataclass(frozen=True, eq=False)
class GramNorm:
    """Squared Frobenius norm of the difference of Gram matrices summed over places, over layers.

    What is published (TFG takes a hundredth of the norm); `Style` knows no units.

    Arguments:
        style: network, reference and layers.
    """

    style: Style
    reads_image: ClassVar[bool] = True

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        blocks = blocks_of(self.style.network, estimate)
        places = [blocks[layer][0, 0].numel() for layer in self.style.layers]
        differences = [gram - far for gram, far in self.style.pairs(blocks)]
        return torch.stack(
            [
                (count * difference).square().flatten(1).sum(1)
                for count, difference in zip(places, differences, strict=True)
            ]
        ).sum(0)


def _apart(gram: Tensor, target: Tensor) -> Tensor:
    size = target.square().flatten(1).sum(1).clamp_min(torch.finfo(target.dtype).tiny)
    return (gram - target).square().flatten(1).sum(1) / size
