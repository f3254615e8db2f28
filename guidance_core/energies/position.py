"""Where in the image a word is.

References:
    Diffusion Self-Guidance for Controllable Image Generation, Epstein et al. 2023,
    arXiv:2306.00986, section 3.2 (object position).
    Deviates, unless `measure` is published: the centroid is that of the soft mask of a whole word,
    not of each token's bare attention, whose background pulls it to the middle; and the distance is
    the Euclidean one, whose gradient does not jitter along an axis that has arrived. In the tasks
    "move one object" of bench.editing (64 images) objects end 0.03 from their point in the median,
    by the published measure 0.10.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from ..attention import self_guidance
from ..attention.keyframes import Keyframes, Values, along, numbers, positions_in
from ..attention.maps import centroid, maps_in, soft_masks
from ..attention.references import MOMENTS, Reference, maps_recorded
from ..attention.words import Word, attention_to, positions_of
from ..captures import DEFAULT, Capture, Layers
from ..steering import check_choice
from ..types import Estimate

NEAR = 0.05  # of the image: an object counts as arrived


@dataclass(frozen=True)
class Position:
    """Distance of the words' centroids from a point, as fractions of the image.

    adapted: mean over words and layers of |centroid(mask(A)) - point|.
    published: mean over tokens, layers, x and y of |centroid(A) - point|, with 0 and 1 in the
        middle of the cells at the edges.

    Arguments:
        words: words of the positive prompt, at least one.
        target: x and y of the point, in [0, 1] from the upper left corner, or keyframes of them,
            along a video; None with a reference.
        reference: another run: the point is where the word was there, plus `shift`.
        shift: x and y to add to the reference's centroid, in [-1, 1].
        layers: layers of attention to read.
        measure: adapted, or published (Self-Guidance's own).
        batch_is_video: the samples of the batch are the frames of one video.
        source: the words in the reference's prompt, one for each, where that prompt is another.
        moment: when the reference is looked at: at the sample's own noise level ("same step"), as
            Self-Guidance does, or at its last one, where every object has its place.

    Raises:
        ValueError: no words, a point outside the image, not just one of target and reference, an
            unknown measure or moment, or words of the source that are not as many.
    """

    words: tuple[Word, ...]
    target: Values | Keyframes | None = None
    reference: Reference | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    layers: Layers = DEFAULT
    measure: str = "adapted"
    batch_is_video: bool = field(default=False, kw_only=True)
    source: tuple[Word, ...] = field(default=(), kw_only=True)
    moment: str = field(default=MOMENTS[0], kw_only=True)

    def __post_init__(self) -> None:
        check_choice("measure", self.measure, self_guidance.MEASURES)
        check_choice("moment", self.moment, MOMENTS)
        positions_of(self.words)
        self_guidance.measured(self.words, self.source, self.measure)
        if (self.target is None) == (self.reference is None):
            raise ValueError("a position needs a target or a reference, and not both")
        for point in () if self.target is None else positions_in(self.target):
            if len(point) != 2 or not all(0 <= value <= 1 for value in point):
                raise ValueError(
                    f"target must lie in the image, x and y in [0, 1], got {numbers(point)}"
                )
        if not all(-1 <= value <= 1 for value in self.shift):
            raise ValueError(f"shift must be in [-1, 1], got {self.shift}")

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of the words."""
        return frozenset({attention_to(self.words, self.layers)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        published = self.measure == "published"
        words, source = self_guidance.measured(self.words, self.source, self.measure)
        centre = self_guidance.centroid if published else _centre
        distance = _mean_length if published else _length
        layers = [centre(maps) for maps in maps_in(estimate, words, self.layers)]
        targets = self._targets(estimate, layers, (words, source), centre)
        pairs = zip(layers, targets, strict=True)
        gaps = [distance(there - target).flatten(1).mean(1) for there, target in pairs]
        return torch.stack(gaps).mean(0)

    def reached(self, sigma: float) -> float | None:
        """Within a twentieth of the image; the published centroid is too near its middle to say."""
        return NEAR if self.measure == "adapted" else None

    def _targets(
        self,
        estimate: Estimate,
        layers: list[Tensor],
        words: tuple[tuple[Word, ...], tuple[Word, ...]],
        centre: Callable[[Tensor], Tensor],
    ) -> list[Tensor]:
        """The point of each layer and word, shape (2,) or (B, W, 2), of video (B, W, T, 2)."""
        if self.reference is None:
            return [self._points(there) for there in layers]
        here, there = words
        found = (self.reference, estimate, here, self.layers, there, self.moment)
        recorded = maps_recorded(*found)
        return [centre(maps) + maps.new_tensor(self.shift) for maps in recorded]

    def _points(self, there: Tensor) -> Tensor:
        """The point, (2,), or at each frame, (T, 2), for centroids (B, W, 2) or (B, W, T, 2)."""
        frames = there.shape[2] if there.ndim == 4 else 1
        points = there.new_tensor(along(cast("Values | Keyframes", self.target), frames))
        return points if there.ndim == 4 else points[0]


def _centre(maps: Tensor) -> Tensor:
    return centroid(soft_masks(maps))


def _mean_length(vectors: Tensor) -> Tensor:
    """Mean of the absolute components of (..., 2)."""
    return vectors.abs().mean(-1)


def _length(vectors: Tensor) -> Tensor:
    """Euclidean length of (..., 2), with a gradient of 0 at 0."""
    square = vectors.square().sum(-1)
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0)
