"""Words that belong together, such as a colour and its object.

References:
    Divide and Bind Your Attention, Li et al. 2023, arXiv:2307.10864, eq. (5) (binding by the
    Jensen-Shannon divergence); words to keep apart as in SynGen, Rassin et al. 2023,
    arXiv:2306.08877, eq. (3).
    Deviates: words are kept apart by the same bounded divergence, not by a Kullback-Leibler one
    that can fall for ever.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from ..attention.maps import maps_in
from ..attention.words import Word, attention_to
from ..captures import DEFAULT, Capture, Layers
from ..types import Estimate


@dataclass(frozen=True)
class Binding:
    """How differently words that belong together attend, and how alike they do to others.

    energy = mean over layers of: mean over pairs of words of JSD(A, A') + mean over words and
    others of 1 - JSD(A, A''), with JSD in units of ln 2 and each map a distribution over the
    image; in [0, 2], without others in [0, 1].

    Arguments:
        words: words of the positive prompt that belong together, at least two.
        others: words to keep apart from all of them.
        layers: layers of attention to read.

    Raises:
        ValueError: fewer than two words, or a token that is in both lists.
    """

    words: tuple[Word, ...]
    others: tuple[Word, ...] = ()
    layers: Layers = DEFAULT

    def __post_init__(self) -> None:
        if len(self.words) < 2:
            raise ValueError(
                f"binding needs at least two words that belong together, got {len(self.words)}"
            )
        apart = {position for word in self.others for position in word.positions}
        both = [word.text for word in self.words if apart & set(word.positions)]
        if both:
            raise ValueError(f"{', '.join(both)} cannot be both bound and kept apart")

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of all the words."""
        return frozenset({attention_to(self.words + self.others, self.layers)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        layers = maps_in(estimate, self.words + self.others, self.layers)
        return torch.stack([self._energy(maps) for maps in layers]).mean(0)

    def _energy(self, maps: Tensor) -> Tensor:
        """Energy of one layer's maps (B, W, h, w)."""
        flat = maps.flatten(2)
        spread = flat / flat.sum(2, keepdim=True)
        own = range(len(self.words))
        strangers = range(len(self.words), spread.shape[1])
        pull = [_divergence(spread[:, i], spread[:, j]) for i, j in combinations(own, 2)]
        push = [1 - _divergence(spread[:, i], spread[:, j]) for i in own for j in strangers]
        total = torch.stack(pull).mean(0)
        return total + torch.stack(push).mean(0) if push else total


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence of distributions (B, N) in units of ln 2, shape (B,)."""
    tiny = torch.finfo(p.dtype).tiny
    middle = ((p + q) / 2).clamp_min(tiny)
    parts = [(r * (r.clamp_min(tiny) / middle).log()).sum(1) for r in (p, q)]
    return (parts[0] + parts[1]) / (2 * math.log(2))
