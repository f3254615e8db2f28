"""How a word looks.

References:
    Diffusion Self-Guidance for Controllable Image Generation, Epstein et al. 2023,
    arXiv:2306.00986, section 3.2 (object appearance).
    Deviates: the mask is taken from the mean of the layers read, not from one of them; and the
    difference is squared, not absolute: the slope of an absolute one is as steep in a channel of
    noise as in the few that tell one look from another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..attention.maps import layer_mean, maps_in, maps_recorded, resized, soft_masks
from ..attention.references import Reference
from ..attention.words import Word, attention_to, positions_of
from ..captures import DEFAULT, Capture, Features, Layers
from ..process import full_precision
from ..types import Estimate


@dataclass(frozen=True)
class Appearance:
    """Difference between the mean activations inside the words' masks and those of a reference.

    energy = mean over words, layers and channels of (sum m F / sum m - (the same there))^2, where m
    is the word's hard mask, a constant.

    Arguments:
        words: words of the positive prompt, at least one.
        reference: another run, with the words' maps and the same layers recorded.
        layers: layers of attention to read.
        features: layers of activations to read.

    Raises:
        ValueError: no words.
    """

    words: tuple[Word, ...]
    reference: Reference
    layers: Layers = DEFAULT
    features: Layers = DEFAULT

    def __post_init__(self) -> None:
        positions_of(self.words)

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of the words, and activations."""
        return frozenset({attention_to(self.words, self.layers), Features(self.features)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        request = Features(self.features)
        values = estimate.capture(request)
        there = self.reference.like(values, float(estimate.sigma[0]), request)
        maps = maps_in(estimate, self.words, self.layers)
        recorded = maps_recorded(self.reference, estimate, self.words, self.layers)
        pairs = zip(_means(values, maps), _means(there, recorded), strict=True)
        gaps = [(a - b).square().flatten(1).mean(1) for a, b in pairs]
        return torch.stack(gaps).mean(0)


def _means(values: Sequence[Tensor], maps: list[Tensor]) -> list[Tensor]:
    """Mean activations inside the words' hard masks, (B, W, C) per layer."""
    soft = soft_masks(layer_mean(maps)).detach()
    return [_mean(full_precision(value), soft) for value in values]


def _mean(value: Tensor, soft: Tensor) -> Tensor:
    mask = (resized(soft, value.shape[-2:]) > 0.5).to(value)
    total = torch.einsum("bcij,bwij->bwc", value, mask)
    return total / mask.sum((-2, -1)).clamp_min(1.0)[..., None]
