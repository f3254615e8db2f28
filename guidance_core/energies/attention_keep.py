"""Attention that should stay as it was in another run.

References:
    Zero-shot Image-to-Image Translation (Pix2Pix-Zero), Parmar et al. 2023, arXiv:2302.03027,
    eq. (4) (cross-attention guidance).
    Deviates: a mean over the image and the layers in place of a sum, so that the size of the
    energy does not grow with the resolution; the positive branch alone, not both. Published are the
    differences of each head (`heads`); by default they are those of the heads' mean, which takes as
    many times less memory as there are heads (64 edits drift by 0.295, by each head 0.338).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..attention.references import Reference
from ..attention.words import Word, attention_to
from ..captures import DEFAULT, HEADS, Attention, Capture, Layers
from ..process import full_precision
from ..steering import check_choice
from ..types import Estimate


@dataclass(frozen=True)
class AttentionKeep:
    """Squared difference between the maps of the words and those of a reference.

    energy = mean over layers and pixels, and heads where each counts, of sum over tokens of
    (A - A_ref)^2, in [0, 2].

    Arguments:
        reference: another run, with the same layers recorded.
        words: words whose maps should stay; none means every place of the prompt, as published.
        layers: layers of attention to read.
        heads: mean of the heads' maps, or each, as published, with a reference that has them.
    """

    reference: Reference
    words: tuple[Word, ...] = ()
    layers: Layers = DEFAULT
    heads: str = "mean"

    def __post_init__(self) -> None:
        check_choice("heads", self.heads, HEADS)

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of the words, or of the whole context."""
        if self.words:
            return frozenset({attention_to(self.words, self.layers, self.heads)})
        return frozenset({Attention((), self.layers, self.heads)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        (request,) = self.captures
        layers = tuple(full_precision(maps) for maps in estimate.capture(request))
        there = self.reference.like(layers, float(estimate.sigma[0]), request)
        gaps = [
            (maps - recorded).square().sum(1).flatten(1).mean(1)
            for maps, recorded in zip(layers, there, strict=True)
        ]
        return torch.stack(gaps).mean(0)
