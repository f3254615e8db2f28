"""How a word looks.

References:
    Diffusion Self-Guidance for Controllable Image Generation, Epstein et al. 2023,
    arXiv:2306.00986, section 3.2 (object appearance).
    Deviates: the mask is taken from the mean of the layers read, not from one of them. Unless
    `measure` is published the mask is that of a whole word, not of each token, and hard at every
    size; and the difference is squared, not absolute: the slope of an absolute one is as steep in a
    channel of noise as in the few that tell one look from another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..attention import self_guidance
from ..attention.maps import layer_mean, maps_in, resized, soft_masks
from ..attention.references import Reference, maps_recorded
from ..attention.words import Word, attention_to, positions_of
from ..captures import DEFAULT, Capture, Features, Layers
from ..process import full_precision
from ..steering import check_choice
from ..types import Estimate


@dataclass(frozen=True)
class Appearance:
    """Difference between the mean activations inside the words' masks and those of a reference.

    adapted: mean over words, layers and channels of (sum m F / sum m - (the same there))^2, where m
        is the word's hard mask, a constant.
    published: the mean over tokens, layers and channels of the absolute difference, with m resized
        to the activations without being made hard again.

    Arguments:
        words: words of the positive prompt, at least one.
        reference: another run, with the words' maps and the same layers recorded.
        layers: layers of attention to read.
        features: layers of activations to read.
        measure: adapted, or published (Self-Guidance's own).
        source: the words in the reference's prompt, one for each, where that prompt is another.

    Raises:
        ValueError: no words, an unknown measure, or words of the source that are not as many.
    """

    words: tuple[Word, ...]
    reference: Reference
    layers: Layers = DEFAULT
    features: Layers = DEFAULT
    measure: str = "adapted"
    source: tuple[Word, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        check_choice("measure", self.measure, self_guidance.MEASURES)
        positions_of(self.words)
        self_guidance.measured(self.words, self.source, self.measure)

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of the words, and activations."""
        return frozenset({attention_to(self.words, self.layers), Features(self.features)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        request = Features(self.features)
        values = estimate.capture(request)
        there = self.reference.like(values, float(estimate.sigma[0]), request)
        published = self.measure == "published"
        words, source = self_guidance.measured(self.words, self.source, self.measure)
        means = _published_means if published else _means
        maps = maps_in(estimate, words, self.layers)
        recorded = maps_recorded(self.reference, estimate, words, self.layers, source)
        gaps = [a - b for a, b in zip(means(values, maps), means(there, recorded), strict=True)]
        sizes = [gap.abs() if published else gap.square() for gap in gaps]
        return torch.stack([size.flatten(1).mean(1) for size in sizes]).mean(0)


def _published_means(values: Sequence[Tensor], maps: list[Tensor]) -> list[Tensor]:
    """Mean activations inside the tokens' masks of Self-Guidance, (B, W, C) per layer."""
    hard = self_guidance.hard_masks(layer_mean(maps)).detach()
    masks = [resized(hard, value.shape[-2:]).to(full_precision(value)) for value in values]
    return [
        _totals(full_precision(value), mask)
        / (mask.flatten(2).sum(2) + self_guidance.EPSILON)[..., None]
        for value, mask in zip(values, masks, strict=True)
    ]


def _means(values: Sequence[Tensor], maps: list[Tensor]) -> list[Tensor]:
    """Mean activations inside the words' hard masks, (B, W, C) per layer."""
    soft = soft_masks(layer_mean(maps)).detach()
    return [_mean(full_precision(value), soft) for value in values]


def _mean(value: Tensor, soft: Tensor) -> Tensor:
    mask = (resized(soft, value.shape[-2:]) > 0.5).to(value)
    return _totals(value, mask) / mask.flatten(2).sum(2).clamp_min(1.0)[..., None]


def _totals(value: Tensor, mask: Tensor) -> Tensor:
    """Sums of activations (B, C, ..., h, w) inside masks (B, W, ..., h, w): (B, W, C)."""
    return torch.einsum("bcn,bwn->bwc", value.flatten(2), mask.flatten(2))
