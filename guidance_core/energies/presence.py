"""Words that must not be forgotten.

References:
    Attend-and-Excite, Chefer et al. 2023, arXiv:2301.13826, eqs. (1)-(2).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..attention.maps import text_shares
from ..attention.words import Word, attention_around, positions_of
from ..captures import DEFAULT, Capture, Layers
from ..types import Estimate

OWNED = 0.8  # the last of the authors' thresholds, at which their refinement ends


@dataclass(frozen=True)
class Presence:
    """How far the most neglected of the words is from owning some place of the image.

    energy = max over words of 1 - max_hw share(A), in [0, 1], on attention made a share of the
    text, averaged over layers; of video the mean over frames.

    Arguments:
        words: words of the positive prompt, at least one; not its start token or last place.
        layers: layers of attention to read.

    Raises:
        ValueError: no words.
    """

    words: tuple[Word, ...]
    layers: Layers = DEFAULT

    def __post_init__(self) -> None:
        positions_of(self.words)

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of the whole context."""
        return frozenset({attention_around(self.words, self.layers)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        shares = text_shares(estimate, self.words, self.layers)
        peaks = shares[:, list(positions_of(self.words))].amax((-2, -1))
        return (1 - peaks.amin(1)).reshape(len(peaks), -1).mean(1)

    def reached(self, sigma: float) -> float:
        """Where even the most neglected word owns the published share of some place."""
        return 1 - OWNED
