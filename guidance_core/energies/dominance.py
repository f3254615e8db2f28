"""Words that take the place of one that is missing: suppressed, so that it can be impressed.

References:
    Attend-and-Excite, Chefer et al. 2023, arXiv:2301.13826, for the shares of the text and for
    the most neglected word; A-STAR, Agarwal et al. 2023, arXiv:2306.14544, section 3, for the idea
    that the attention of one concept must leave the places of another.
    Deviates: only the places of the word that is missing are freed, and only from the word that
    dominates them; words that all own a place are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..attention.maps import text_shares
from ..attention.words import Word, attention_around
from ..captures import DEFAULT, Capture, Layers
from ..types import Estimate


@dataclass(frozen=True)
class Dominance:
    """How far another word owns the place that the most neglected word would have.

    energy = (1 - share_m(h)) * max over the other words of share_w(h), in [0, 1], where m is the
    word with the smallest peak, h the place of that peak, and share_w what the tokens of a word
    take together of the text there (averaged over layers; of video the mean over frames).

    Arguments:
        words: words of the positive prompt that stand for different objects, at least two.
        layers: layers of attention to read.

    Raises:
        ValueError: fewer than two words.
    """

    words: tuple[Word, ...]
    layers: Layers = DEFAULT

    def __post_init__(self) -> None:
        if len(self.words) < 2:
            raise ValueError(
                f"suppression needs at least two words, one to be suppressed where another is "
                f"missing, got {len(self.words)}"
            )

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of the whole context."""
        return frozenset({attention_around(self.words, self.layers)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        shares = text_shares(estimate, self.words, self.layers)
        owned = torch.stack([shares[:, list(word.positions)].sum(1) for word in self.words], 1)
        places = owned.flatten(-2).movedim(1, -2)  # (B, [T,] W, N)
        energy = _dominance(places.reshape(-1, *places.shape[-2:]))
        return energy.reshape(len(owned), -1).mean(1)


def _dominance(owned: Tensor) -> Tensor:
    """Energy (F,) of what W words own of N places, (F, W, N)."""
    peaks, places = owned.max(2)
    missing = peaks.argmin(1)
    rows = torch.arange(len(owned), device=owned.device)
    there = owned[rows, :, places[rows, missing]]
    others = there.scatter(1, missing[:, None], 0.0)
    return (1 - peaks[rows, missing]) * others.amax(1)
