"""What energies of style, structure and likeness read from a guide network."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ..types import Estimate
from .labels import name_of


class FeatureNetwork(Protocol):
    """A guide network with feature maps."""

    def blocks(self, image: Tensor, /) -> list[Tensor]:
        """Feature maps (B, D, h, w) of every block, for images (B, 3, H, W) in [0, 1]."""
        ...


def check_features(network: object, what: str) -> None:
    """Refuse a network without feature maps.

    Raises:
        ValueError: no network at all.
        TypeError: a network without `blocks`.
    """
    if network is None:
        raise ValueError(f"{what} needs a network: connect a CLIP, a ViT or a classifier")
    if not hasattr(network, "blocks"):
        name = getattr(network, "name", type(network).__name__)
        raise TypeError(
            f"{what} needs a network with feature maps, got {name}: load a CLIP, a ViT or a "
            "classifier such as vgg16"
        )


class CLIPOutputs(NamedTuple):
    """All outputs of a CLIP network for images, of one forward pass, its method `outputs`.

    Arguments:
        embedding: of unit length, shape (B, D).
        blocks: feature maps (B, d, h, w) of every block.
    """

    embedding: Tensor
    blocks: list[Tensor]


def embedding_of(network: Any, estimate: Estimate) -> Tensor:
    """Embedding (B, D) of the image; one forward pass for all energies of a network."""
    if hasattr(network, "outputs"):
        return estimate.image_through(network.outputs).embedding
    return estimate.image_through(network.encode_image)


def blocks_of(network: Any, estimate: Estimate) -> list[Tensor]:
    """Feature maps (B, D, h, w) of the image; one forward pass for all energies of a network."""
    if hasattr(network, "outputs"):
        return estimate.image_through(network.outputs).blocks
    return estimate.image_through(network.blocks)


class ViTTokens(NamedTuple):
    """Outputs of a vision transformer for images.

    Arguments:
        keys: keys of the last block's attention, all heads side by side, shape (B, N, D), one for
            each of N patches.
        pooled: the class token after the last block, shape (B, D).
        class_key: key of the class token in that attention, shape (B, 1, D); None without one.
    """

    keys: Tensor
    pooled: Tensor
    class_key: Tensor | None = None

    @property
    def all_keys(self) -> Tensor:
        """Keys of the class token, if there is one, and of the patches, shape (B, 1 + N, D)."""
        return self.keys if self.class_key is None else torch.cat([self.class_key, self.keys], 1)


class TokenNetwork(Protocol):
    """A guide network in the manner of DINO."""

    def tokens(self, image: Tensor, /) -> ViTTokens:
        """Keys and class token of images (B, 3, H, W) in [0, 1]."""
        ...


def check_tokens(network: object, what: str) -> None:
    """Refuse a network without tokens with a TypeError."""
    if not hasattr(network, "tokens"):
        name = getattr(network, "name", type(network).__name__)
        raise TypeError(f"{what} needs a ViT, got {name}: use Load Guide: ViT")


class Segmenter(Protocol):
    """A guide network with K labels for every pixel."""

    pixel_labels: tuple[str, ...]

    def __call__(self, image: Tensor, /) -> Tensor:
        """Logits (B, K, h, w) of images (B, 3, H, W) in [0, 1]."""
        ...


def check_segmenter(network: object) -> None:
    """Refuse another kind of network with a TypeError."""
    if not hasattr(network, "pixel_labels"):
        raise TypeError(f"segmentation needs a segmenter, got {name_of(network)}: load one as such")
