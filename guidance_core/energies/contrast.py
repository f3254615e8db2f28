"""Groups of words, one for each object: alike inside of a group, unlike across groups.

References:
    CONFORM, Meral et al. 2024, arXiv:2312.06059, section 3: InfoNCE over attention maps. Deviates:
    maps of the step before are no further positives, so that an evaluation depends on nothing
    else; a word that is alone in its group is its own positive.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attention.maps import text_shares
from ..attention.words import Word, attention_around, positions_of
from ..captures import DEFAULT, Capture, Layers
from ..types import Estimate


@dataclass(frozen=True)
class Contrast:
    """InfoNCE of the maps of words: those of one group attract, those of others repel each other.

    energy = mean over words j and the others k of its group of
    -log(exp(s_jk / t) / (exp(s_jk / t) + sum over words n of other groups of exp(s_jn / t))),
    with s the cosine of two maps (shares of the text, averaged over layers), >= 0.

    Arguments:
        groups: words of the positive prompt, at least two groups, each of one word or more, such
            as (("red", "circle"), ("blue", "square")).
        layers: layers of attention to read.
        temperature: t, > 0; the paper's 0.5.

    Raises:
        ValueError: fewer than two groups, an empty one, a token in two groups, or no temperature.
    """

    groups: tuple[tuple[Word, ...], ...]
    layers: Layers = DEFAULT
    temperature: float = 0.5

    def __post_init__(self) -> None:
        if len(self.groups) < 2:
            raise ValueError(f"a contrast needs at least two groups, got {len(self.groups)}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}")
        seen = dict[int, int]()
        for number, group in enumerate(self.groups):
            for position in positions_of(group):
                if seen.setdefault(position, number) != number:
                    raise ValueError(
                        f"groups {seen[position] + 1} and {number + 1} share a word: each word "
                        "belongs to one object"
                    )

    @property
    def words(self) -> tuple[Word, ...]:
        """All words, group by group."""
        return tuple(word for group in self.groups for word in group)

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of the whole context."""
        return frozenset({attention_around(self.words, self.layers)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        shares = text_shares(estimate, self.words, self.layers)
        maps = [shares[:, list(word.positions)].mean(1).flatten(1) for word in self.words]
        unit = F.normalize(torch.stack(maps, 1), dim=2)
        logits = unit @ unit.transpose(1, 2) / self.temperature
        same, others = self._pairs(logits)
        strangers = logits.masked_fill(~others, -torch.inf).logsumexp(2, keepdim=True)
        losses = torch.logaddexp(logits, strangers) - logits
        return losses[:, same].mean(1)

    def _pairs(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Which pairs of words (W, W) are positives, and which are of different groups."""
        numbers = [n for n, group in enumerate(self.groups) for _ in group]
        group = torch.tensor(numbers, device=like.device)
        alone = torch.tensor([len(self.groups[n]) == 1 for n in numbers], device=like.device)
        own = group[:, None] == group
        itself = torch.eye(len(numbers), dtype=torch.bool, device=like.device)
        return own & (~itself | alone[:, None]), ~own
