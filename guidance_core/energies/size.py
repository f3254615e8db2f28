"""How much of the image a word takes.

References:
    Diffusion Self-Guidance for Controllable Image Generation, Epstein et al. 2023,
    arXiv:2306.00986, section 3.2 (object size).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..attention.maps import maps_in, maps_recorded, soft_masks
from ..attention.references import Reference
from ..attention.words import Word, attention_to, positions_of
from ..captures import DEFAULT, Capture, Layers
from ..types import Estimate


@dataclass(frozen=True)
class Size:
    """Difference between the area of the words' soft masks and a target, as fractions of the image.

    energy = mean over words and layers of |mean_hw mask(A) - target|, in [0, 1].

    Arguments:
        words: words of the positive prompt, at least one.
        target: area, in (0, 1) of the image; None with a reference.
        reference: another run: the target is the word's area there, times `ratio`.
        ratio: factor of the reference's area, > 0.
        layers: layers of attention to read.

    Raises:
        ValueError: no words, an argument outside its range, or not just one of target and
            reference.
    """

    words: tuple[Word, ...]
    target: float | None = None
    reference: Reference | None = None
    ratio: float = 1.0
    layers: Layers = DEFAULT

    def __post_init__(self) -> None:
        positions_of(self.words)
        if (self.target is None) == (self.reference is None):
            raise ValueError("a size needs a target or a reference, and not both")
        if self.target is not None and not 0 < self.target < 1:
            raise ValueError(f"target must be in (0, 1) of the image, got {self.target}")
        if not self.ratio > 0:
            raise ValueError(f"ratio must be > 0, got {self.ratio}")

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of the words."""
        return frozenset({attention_to(self.words, self.layers)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        layers = maps_in(estimate, self.words, self.layers)
        targets = self._targets(estimate, layers)
        gaps = [
            (_area(maps) - target).abs().mean(1)
            for maps, target in zip(layers, targets, strict=True)
        ]
        return torch.stack(gaps).mean(0)

    def _targets(self, estimate: Estimate, layers: list[Tensor]) -> list[Tensor]:
        """The area asked of each layer and word, shape () or (B, W)."""
        if self.reference is None:
            return [maps.new_tensor(self.target) for maps in layers]
        recorded = maps_recorded(self.reference, estimate, self.words, self.layers)
        return [self.ratio * _area(maps) for maps in recorded]


def _area(maps: Tensor) -> Tensor:
    return soft_masks(maps).mean((-2, -1))
