"""A box that a word should keep to.

References:
    layout: Training-Free Layout Control with Cross-Attention Guidance, Chen et al. 2023,
    arXiv:2304.03373, eq. (1).  boxdiff: BoxDiff, Xie et al. 2023, arXiv:2307.10816, eqs. (3)-(6).
    Deviates: cells count by the part of them that the box covers, so that no box is ever empty;
    a box may be turned; of BoxDiff, tokens of a word count as one, and words by their mean, not
    their sum. Published for layout is the loss of each head and token (`heads`); by default it is
    that of the words' maps, averaged over both. In bench.editing, "boxes for two objects" (64
    images), 0.91 of the objects end inside by the mean, 0.90 by each head, 0.73 by boxdiff.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..attention.keyframes import Keyframes, Values, along, numbers, positions_in
from ..attention.maps import maps_in, text_shares
from ..attention.words import Word, attention_around, attention_to, positions_of
from ..captures import DEFAULT, HEADS, Attention, Capture, Layers
from ..process import full_precision
from ..steering import check_choice
from ..types import Estimate

LOSSES = ("layout", "boxdiff")
SHARE = 0.2  # BoxDiff's P: the strongest fifth of the cells is asked
ENOUGH = 0.2  # energy of layout at which the authors' code stops: over half of the attention inside
REACH = 1  # BoxDiff's L: cells to either side of a corner


@dataclass(frozen=True)
class Box:
    """How much of the words' attention lies outside a box.

    layout: mean over words and layers, or over tokens, heads and layers, of
        (1 - attention in the box / all attention)^2, in [0, 1].
    boxdiff: mean over words of 1 - mean of the strongest fifth inside, + mean of the strongest
        fifth outside, + sum over both axes of the differences between the words' and the box's
        projections around the corners, divided by the image's cells along the axis; on attention
        made a share of the text, averaged over layers; in [0, 4].

    Arguments:
        words: words of the positive prompt, at least one; all keep to the one box.
        box: left, top, right, bottom in [0, 1] of the image; or keyframes of them, along a video.
        loss: layout or boxdiff.
        layers: layers of attention to read.
        angle: degrees by which the box is turned about its centre, clockwise, in [-180, 180]; the
            box may reach out of the image then.
        heads: mean of the heads' maps, or each, as published; of layout, boxdiff takes the mean.
        batch_is_video: the samples of the batch are the frames of one video.

    Raises:
        ValueError: no words, an empty box, one outside the image, an angle outside its range, or
            an unknown loss or choice of heads.
    """

    words: tuple[Word, ...]
    box: Values | Keyframes
    loss: str = "layout"
    layers: Layers = DEFAULT
    angle: float = 0.0
    heads: str = "mean"
    batch_is_video: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        positions_of(self.words)
        for box in positions_in(self.box):
            _check_box(box)
        if not abs(self.angle) <= 180:
            raise ValueError(f"need an angle in [-180, 180] degrees, got {self.angle}")
        check_choice("loss", self.loss, LOSSES)
        check_choice("heads", self.heads, HEADS)

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of the words; for shares of the text, of the whole context."""
        return frozenset({self._request})

    @property
    def _request(self) -> Attention:
        if self.loss == "boxdiff":
            return attention_around(self.words, self.layers)
        return attention_to(self.words, self.layers, self.heads)

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        if self.loss == "boxdiff":
            shares = text_shares(estimate, self.words, self.layers)
            maps = [shares[:, list(word.positions)].mean(1) for word in self.words]
            return torch.stack([self._boxdiff(part) for part in maps]).mean(0)
        layers = self._layout_maps(estimate)
        return torch.stack([_layout(part, self._over_time(part, 2)) for part in layers]).mean(0)

    def reached(self, sigma: float) -> float | None:
        """Where the published code of layout guidance stops; BoxDiff's has no such value."""
        return ENOUGH if self.loss == "layout" else None

    def _layout_maps(self, estimate: Estimate) -> list[Tensor]:
        """Maps of words, or of each token and head, (B, N, h, w) per layer."""
        if self.heads == "mean":
            return maps_in(estimate, self.words, self.layers)
        return [full_precision(m).flatten(1, 2) for m in estimate.capture(self._request)]

    def _boxdiff(self, maps: Tensor) -> Tensor:
        """Energy of one word's maps (B, h, w), the mean of its frames in video (B, T, h, w)."""
        covered = self._over_time(maps, 1)
        if covered.ndim == 3:
            frames = zip(maps.unbind(1), covered, strict=True)
            return torch.stack([_boxdiff(frame, there) for frame, there in frames]).mean(0)
        pictures = _boxdiff(maps.flatten(0, -3), covered)
        return pictures.reshape(len(maps), -1).mean(1)

    def _over_time(self, maps: Tensor, axis: int) -> Tensor:
        """What the box covers of maps, (h, w); (T, h, w) where it moves, with frames at an axis."""
        if not isinstance(self.box, Keyframes) or maps.ndim < axis + 3:
            return self.covered(maps)
        frames = range(maps.shape[axis])
        return torch.stack([self.covered(maps, frame, len(frames)) for frame in frames])

    def covered(self, maps: Tensor, frame: int = 0, frames: int = 1) -> Tensor:
        """Part of each cell of maps (..., h, w) that the box covers at a frame, shape (h, w)."""
        left, top, right, bottom = along(self.box, frames)[frame]
        height, width = maps.shape[-2:]
        sine, cosine = math.sin(math.radians(self.angle)), math.cos(math.radians(self.angle))
        # From the centre of the box, in cells, which are square.
        x = _centres(width) - (left + right) / 2 * width
        y = _centres(height)[:, None] - (top + bottom) / 2 * height
        cell = abs(sine) + abs(cosine)
        wide = _overlap(cosine * x + sine * y, cell, (right - left) * width)
        tall = _overlap(cosine * y - sine * x, cell, (bottom - top) * height)
        return (wide * tall).to(maps)


def _check_box(box: Values) -> None:
    if len(box) != 4:
        raise ValueError(f"a box has four edges: left, top, right, bottom, got {len(box)} numbers")
    left, top, right, bottom = box
    if not all(0 <= edge <= 1 for edge in box):
        raise ValueError(f"the box must lie in the image, in [0, 1], got {numbers(box)}")
    if not (left < right and top < bottom):
        raise ValueError(
            f"the box is empty: need left < right and top < bottom, got {numbers(box)}"
        )


def _centres(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.float64) + 0.5


def _overlap(centres: Tensor, cell: float, length: float) -> Tensor:
    """Part of cells about these centres that lies within a length about 0."""
    ends = (centres + cell / 2).clamp(max=length / 2) - (centres - cell / 2).clamp(min=-length / 2)
    return ends.clamp(min=0) / cell


def _layout(maps: Tensor, covered: Tensor) -> Tensor:
    inside = (maps * covered).sum((-2, -1)) / maps.sum((-2, -1))
    return (1 - inside).square().flatten(1).mean(1)


def _boxdiff(maps: Tensor, covered: Tensor) -> Tensor:
    """Inner, outer and corner terms of one word's maps (B, h, w)."""
    box = (covered >= min(0.5, float(covered.max()))).to(maps)
    inside = _strongest(maps, box == 1)
    outside = _strongest(maps, box == 0)
    return 1 - inside + outside + sum(_edges(maps, box, axis) for axis in (-2, -1))


def _edges(maps: Tensor, box: Tensor, axis: int) -> Tensor:
    """Differences of the projections along an axis around the box's corners, over all its cells."""
    line = box.amax(axis)
    gaps = (maps.amax(axis) - line).abs()[:, _corners(line)]
    return gaps.sum(1) / len(line)


def _strongest(maps: Tensor, where: Tensor) -> Tensor:
    """Mean of the strongest cells (B, h, w) of an area (h, w); 0 where the area is empty."""
    cells = maps[:, where]
    if cells.shape[1] == 0:
        return maps.new_zeros(len(maps))
    return cells.topk(max(1, int(SHARE * cells.shape[1])), 1).values.mean(1)


def _corners(line: Tensor) -> Tensor:
    """Cells within reach of the first of a box's projection (n,), or of that behind its last."""
    inside = line.nonzero().flatten()
    cells = torch.arange(len(line), device=line.device)
    ends = torch.stack([inside[0], inside[-1] + 1])
    return ((cells[:, None] - ends).abs() <= REACH).any(1)
