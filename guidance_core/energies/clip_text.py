"""A text that a CLIP model should see in the picture.

References:
    Learning Transferable Visual Models from Natural Language Supervision, Radford et al. 2021,
    arXiv:2103.00020; cutouts and spherical distance as in Crowson's CLIP guided diffusion, 2021.
    Deviates: the whole picture is always among the views, the views are the same for every sample,
    and the distance is written with atan2, so that its gradient is finite at both ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from ..captures import Capture
from ..process import full_precision
from ..types import Estimate, mixed_seed

DISTANCES = ("spherical", "cosine")


class Clip(Protocol):
    """A guide network that puts pictures and texts into one space; embeddings of unit length."""

    input_size: int

    def encode_image(self, image: Tensor, /) -> Tensor:
        """Embeddings (B, D) of images (B, 3, H, W) in [0, 1]."""
        ...

    def encode_text(self, texts: list[str], /) -> Tensor:
        """Embeddings (N, D) of N texts."""
        ...


@dataclass(frozen=True)
class ClipText:
    """Distance between the picture's CLIP embedding and a text's, averaged over views.

    spherical: half the squared angle, in [0, pi^2 / 2]; cosine: 1 - cosine, in [0, 2].
    Views are the whole picture and `cutouts` random squares of it; they depend on the seed and the
    noise level alone, so that a run can be repeated and a sample does not depend on its batch.

    Arguments:
        network: the CLIP model, a module.
        text: what should be seen.
        distance: spherical or cosine.
        cutouts: random squares besides the whole picture, >= 0.
        augment: tilt, shift and tint every cutout a little, against adversarial textures.
        least: side of the smallest cutout, as a part of the picture's shorter side, in (0, 1].
        seed: seed of cutouts and augmentations.

    Raises:
        TypeError: a network without encode_text, such as a classifier.
        ValueError: an argument outside its range.
    """

    network: Clip
    text: str
    distance: str = "spherical"
    cutouts: int = 4
    augment: bool = True
    least: float = 0.5
    seed: int = 0
    captures: ClassVar[frozenset[Capture]] = frozenset()
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not hasattr(self.network, "encode_text"):
            name = getattr(self.network, "name", type(self.network).__name__)
            raise TypeError(f"a text needs a CLIP model, got {name}: load one as open_clip")
        if not self.text.strip():
            raise ValueError("the text is empty: write what the picture should show")
        if self.distance not in DISTANCES:
            raise ValueError(f"distance must be spherical or cosine, got {self.distance!r}")
        if self.cutouts < 0 or not 0 < self.least <= 1:
            raise ValueError(
                f"need cutouts >= 0 and 0 < least <= 1, got {self.cutouts} and {self.least}"
            )

    @cached_property
    def target(self) -> Tensor:
        """Embedding of the text, shape (1, D); encoded once, where it is first asked for."""
        with torch.no_grad():
            embedding = self.network.encode_text([self.text])
        return full_precision(embedding)

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        views = self._views(full_precision(estimate.image), float(estimate.sigma[0]))
        distances = [self._distance(self.network.encode_image(view)) for view in views]
        return torch.stack(distances).mean(0)

    def _views(self, image: Tensor, sigma: float) -> list[Tensor]:
        """The whole picture (B, 3, H, W), then each cutout, the same square for every sample."""
        size = self.network.input_size
        with _seeded(mixed_seed(self.seed, sigma)):
            cutouts = [_cutout(image, self.least, size) for _ in range(self.cutouts)]
            return [image, *(_augmented(cutout) if self.augment else cutout for cutout in cutouts)]

    def _distance(self, embedding: Tensor) -> Tensor:
        near = full_precision(embedding)
        far = self.target.to(near)
        if self.distance == "cosine":
            return 1 - (near * far).sum(1)
        angle = 2 * torch.atan2((near - far).norm(dim=1), (near + far).norm(dim=1))
        return angle.square() / 2

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """The CLIP model."""
        return (self.network,)  # type: ignore[return-value]


def _cutout(image: Tensor, least: float, size: int) -> Tensor:
    """A random square of every sample, shape (B, 3, size, size)."""
    from kornia.geometry.transform import resize  # heavy: only where cutouts are made

    part, down, right = torch.rand(3).tolist()
    height, width = image.shape[-2:]
    side = round(min(height, width) * (least + (1 - least) * part))
    top, left = round((height - side) * down), round((width - side) * right)
    square = image[..., top : top + side, left : left + side]
    return resize(square, (size, size), antialias=True)


def _augmented(square: Tensor) -> Tensor:
    """Tilt, shift and tint a cutout a little, alike for the samples of a batch."""
    import kornia.augmentation as K  # heavy: only where cutouts are augmented

    for step in (
        K.RandomAffine(10.0, (0.05, 0.05), padding_mode="border", same_on_batch=True, p=1.0),
        K.RandomPerspective(0.1, same_on_batch=True, p=1.0),
        K.ColorJitter(0.05, 0.05, 0.05, 0.0, same_on_batch=True, p=1.0),
    ):
        square = step(square)
    return square


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Kornia draws from torch's global generator: seed it here, and leave it as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
