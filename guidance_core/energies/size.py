"""How much of the image a word takes.

References:
    Diffusion Self-Guidance for Controllable Image Generation, Epstein et al. 2023,
    arXiv:2306.00986, section 3.2 (object size).
    Deviates, unless `measure` is published: of a whole word, not the mean over its tokens, and maps
    count as flat by their own height, not below 1e-4.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..attention import self_guidance
from ..attention.maps import maps_in, soft_masks
from ..attention.references import MOMENTS, Reference, maps_recorded
from ..attention.words import Word, attention_to, positions_of
from ..captures import DEFAULT, Capture, Layers
from ..steering import check_choice
from ..types import Estimate


@dataclass(frozen=True)
class Size:
    """Difference between the area of the words' soft masks and a target, as fractions of the image.

    energy = mean over words (published: tokens) and layers of |mean_hw mask(A) - target|, in
    [0, 1].

    Arguments:
        words: words of the positive prompt, at least one.
        target: area, in (0, 1) of the image; None with a reference.
        reference: another run: the target is the word's area there, times `ratio`.
        ratio: factor of the reference's area, > 0.
        layers: layers of attention to read.
        measure: adapted, or published (Self-Guidance's own).
        source: the words in the reference's prompt, one for each, where that prompt is another.
        moment: when the reference is looked at: at the sample's own noise level ("same step"), as
            Self-Guidance does, or at its last one, where every object has its place.

    Raises:
        ValueError: no words, an argument outside its range, not just one of target and
            reference, an unknown measure or moment, or words of the source that are not as many.
    """

    words: tuple[Word, ...]
    target: float | None = None
    reference: Reference | None = None
    ratio: float = 1.0
    layers: Layers = DEFAULT
    measure: str = "adapted"
    source: tuple[Word, ...] = field(default=(), kw_only=True)
    moment: str = field(default=MOMENTS[0], kw_only=True)

    def __post_init__(self) -> None:
        check_choice("measure", self.measure, self_guidance.MEASURES)
        check_choice("moment", self.moment, MOMENTS)
        positions_of(self.words)
        self_guidance.measured(self.words, self.source, self.measure)
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
        published = self.measure == "published"
        words, source = self_guidance.measured(self.words, self.source, self.measure)
        masks = self_guidance.soft_masks if published else soft_masks
        layers = maps_in(estimate, words, self.layers)
        targets: list[Tensor] = [maps.new_tensor(self.target or 0.0) for maps in layers]
        if self.reference is not None:
            found = (self.reference, estimate, words, self.layers, source, self.moment)
            recorded = maps_recorded(*found)
            targets = [self.ratio * masks(maps).mean((-2, -1)) for maps in recorded]
        pairs = zip(layers, targets, strict=True)
        gaps = [(masks(maps).mean((-2, -1)) - target).abs() for maps, target in pairs]
        return torch.stack([gap.flatten(1).mean(1) for gap in gaps]).mean(0)
