"""Where in the image a word is.

References:
    Diffusion Self-Guidance for Controllable Image Generation, Epstein et al. 2023,
    arXiv:2306.00986, section 3.2 (object position).
    Deviates: the centroid is that of the soft mask, not of the bare attention, whose background
    pulls it to the middle; and the distance is the Euclidean one, whose gradient does not jitter
    along an axis that has arrived.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..attention.maps import centroid, maps_in, maps_recorded, soft_masks
from ..attention.references import Reference
from ..attention.words import Word, attention_to, positions_of
from ..captures import DEFAULT, Capture, Layers
from ..types import Estimate


@dataclass(frozen=True)
class Position:
    """Distance of the words' centroids from a point, as fractions of the image.

    energy = mean over words and layers of |centroid(mask(A)) - point|.

    Arguments:
        words: words of the positive prompt, at least one.
        target: x and y of the point, in [0, 1] from the upper left corner; None with a reference.
        reference: another run: the point is where the word was there, plus `shift`.
        shift: x and y to add to the reference's centroid, in [-1, 1].
        layers: layers of attention to read.

    Raises:
        ValueError: no words, a point outside the image, or not just one of target and reference.
    """

    words: tuple[Word, ...]
    target: tuple[float, float] | None = None
    reference: Reference | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    layers: Layers = DEFAULT

    def __post_init__(self) -> None:
        positions_of(self.words)
        if (self.target is None) == (self.reference is None):
            raise ValueError("a position needs a target or a reference, and not both")
        if self.target is not None and not all(0 <= value <= 1 for value in self.target):
            raise ValueError(f"target must lie in the image, in [0, 1], got {self.target}")
        if not all(-1 <= value <= 1 for value in self.shift):
            raise ValueError(f"shift must be in [-1, 1], got {self.shift}")

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of the words."""
        return frozenset({attention_to(self.words, self.layers)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        layers = maps_in(estimate, self.words, self.layers)
        targets = self._targets(estimate, layers)
        distances = [
            _length(centroid(soft_masks(maps)) - target).mean(1)
            for maps, target in zip(layers, targets, strict=True)
        ]
        return torch.stack(distances).mean(0)

    def _targets(self, estimate: Estimate, layers: list[Tensor]) -> list[Tensor]:
        """The point of each layer and word, shape (2,) or (B, W, 2)."""
        if self.reference is None:
            return [maps.new_tensor(self.target) for maps in layers]
        recorded = maps_recorded(self.reference, estimate, self.words, self.layers)
        return [centroid(soft_masks(m)) + m.new_tensor(self.shift) for m in recorded]


def _length(vectors: Tensor) -> Tensor:
    """Euclidean length of (..., 2), with a gradient of 0 at 0."""
    square = vectors.square().sum(-1)
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0)
