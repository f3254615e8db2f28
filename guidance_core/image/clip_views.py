"""Distances between embeddings of unit length, and the views that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..noise import mixed_seed, seeded
from ..process import full_precision

DISTANCES = ("spherical", "cosine")


class ImageEncoder(Protocol):
    """A guide network that embeds images; embeddings of unit length."""

    input_size: int

    def encode_image(self, image: Tensor, /) -> Tensor:
        """Embeddings (B, D) of images (B, 3, H, W) in [0, 1]."""
        ...


class Clip(ImageEncoder, Protocol):
    """A guide network that puts images and texts into one space; embeddings of unit length."""

    def encode_text(self, texts: list[str], /) -> Tensor:
        """Embeddings (N, D) of N texts."""
        ...


def check_clip(network: object, what: str) -> None:
    """Refuse a network that reads no text, such as a classifier, with a TypeError."""
    if not hasattr(network, "encode_text"):
        name = getattr(network, "name", type(network).__name__)
        raise TypeError(f"{what} needs a CLIP model, got {name}: load one as open_clip")


def check_distance(distance: str) -> None:
    """Refuse a distance that is not in DISTANCES with a ValueError."""
    if distance not in DISTANCES:
        raise ValueError(f"distance must be spherical or cosine, got '{distance}'")


def distance_between(near: Tensor, far: Tensor, distance: str) -> Tensor:
    """Distance of unit vectors (B, D) to unit vectors (B, D) or (1, D), shape (B,).

    spherical: half the squared angle, in [0, pi^2 / 2]; cosine: 1 - cosine, in [0, 2]. The angle is
    written with atan2, so that its gradient is finite at both ends.
    """
    near = full_precision(near)
    far = far.to(near)
    if distance == "cosine":
        return 1 - (near * far).sum(1)
    angle = 2 * torch.atan2((near - far).norm(dim=1), (near + far).norm(dim=1))
    return angle.square() / 2


@dataclass(frozen=True)
class Cutouts:
    """Embeddings of random squares of the image, the same squares for every sample.

    They depend on the seed and the noise level alone, so that a run can be repeated, a sample does
    not depend on its batch, and energies of equal settings share them (`Estimate.image_through`).

    Arguments:
        network: embeds the squares.
        count: number of squares, >= 0.
        augment: tilt, shift and tint every square a little, against adversarial textures.
        least: side of the smallest square, as a fraction of the image's shorter side, in (0, 1].
        seed: seed of squares and augmentations.
        sigma: noise level.

    Raises:
        ValueError: count or least outside their range.
    """

    network: ImageEncoder
    count: int
    augment: bool
    least: float
    seed: int
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 0 or not 0 < self.least <= 1:
            raise ValueError(
                f"need cutouts >= 0 and 0 < least <= 1, got {self.count} and {self.least}"
            )

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Embeddings (B, D), one for each square of images (B, 3, H, W)."""
        # Kornia draws from torch's global generator.
        with seeded(mixed_seed(self.seed, self.sigma)):
            squares = [self._square(image) for _ in range(self.count)]
            squares = [_augmented(square) if self.augment else square for square in squares]
        return [self.network.encode_image(square) for square in squares]

    def _square(self, image: Tensor) -> Tensor:
        """A random square of every sample, shape (B, 3, size, size)."""
        from kornia.geometry.transform import resize  # heavy: only where cutouts are made

        part, down, right = torch.rand(3).tolist()
        height, width = image.shape[-2:]
        side = round(min(height, width) * (self.least + (1 - self.least) * part))
        top, left = round((height - side) * down), round((width - side) * right)
        square = image[..., top : top + side, left : left + side]
        return resize(square, (self.network.input_size,) * 2, antialias=True)


def _augmented(square: Tensor) -> Tensor:
    """Tilt, shift and tint a cutout a little, alike for the samples of a batch."""
    import kornia.augmentation as K  # heavy: only where cutouts are augmented

    steps: list[Callable[[Tensor], Tensor]] = [
        K.RandomAffine(10.0, (0.05, 0.05), padding_mode="border", same_on_batch=True, p=1.0),
        K.RandomPerspective(0.1, same_on_batch=True, p=1.0),
        K.ColorJitter(0.05, 0.05, 0.05, 0.0, same_on_batch=True, p=1.0),
    ]
    for step in steps:
        square = step(square)
    return square
