"""A box that a word should keep to.

References:
    layout: Training-Free Layout Control with Cross-Attention Guidance, Chen et al. 2023,
    arXiv:2304.03373, eq. (1).  boxdiff: BoxDiff, Xie et al. 2023, arXiv:2307.10816, eqs. (3)-(6).
    Deviates: cells count by the part of them that the box covers, so that no box is ever empty;
    a box may be turned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..attention.maps import maps_in, text_shares
from ..attention.words import Word, positions_of
from ..captures import DEFAULT, Attention, Capture, Layers
from ..types import Estimate

LOSSES = ("layout", "boxdiff")
SHARE = 0.2  # BoxDiff's P: the strongest fifth of the cells is asked
REACH = 1  # BoxDiff's L: cells to either side of a corner


@dataclass(frozen=True)
class Box:
    """How much of the words' attention lies outside a box.

    layout: mean over words and layers of (1 - attention in the box / all attention)^2, in [0, 1].
    boxdiff: mean over words of 1 - mean of the strongest fifth inside, + mean of the strongest
        fifth outside, + mean difference between the words' and the box's projections around the
        corners; on attention made a share of the text, averaged over layers; in [0, 3].

    Arguments:
        words: words of the positive prompt, at least one; all keep to the one box.
        box: left, top, right, bottom in [0, 1] of the image.
        loss: layout or boxdiff.
        layers: layers of attention to read.
        angle: degrees by which the box is turned about its centre, clockwise, in [-180, 180]; the
            box may reach out of the image then.

    Raises:
        ValueError: no words, an empty box, one outside the image, an angle outside its range, or
            an unknown loss.
    """

    words: tuple[Word, ...]
    box: tuple[float, float, float, float]
    loss: str = "layout"
    layers: Layers = DEFAULT
    angle: float = 0.0

    def __post_init__(self) -> None:
        positions_of(self.words)
        left, top, right, bottom = self.box
        if not all(0 <= edge <= 1 for edge in self.box):
            raise ValueError(f"the box must lie in the image, in [0, 1], got {self.box}")
        if not (left < right and top < bottom):
            raise ValueError(
                f"the box is empty: need left < right and top < bottom, got {self.box}"
            )
        if not abs(self.angle) <= 180:
            raise ValueError(f"need an angle in [-180, 180] degrees, got {self.angle}")
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got '{self.loss}'")

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of the words; for shares of the text, of the whole context."""
        positions = positions_of(self.words) if self.loss == "layout" else ()
        return frozenset({Attention(positions, self.layers)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        if self.loss == "boxdiff":
            shares = text_shares(estimate, self.words, self.layers)
            maps = [shares[:, list(word.positions)].mean(1) for word in self.words]
            return torch.stack([_boxdiff(part, self.covered(part)) for part in maps]).mean(0)
        layers = maps_in(estimate, self.words, self.layers)
        return torch.stack([_layout(part, self.covered(part)) for part in layers]).mean(0)

    def covered(self, maps: Tensor) -> Tensor:
        """Part of each cell of maps (..., h, w) that the box covers, shape (h, w)."""
        left, top, right, bottom = self.box
        height, width = maps.shape[-2:]
        sine, cosine = math.sin(math.radians(self.angle)), math.cos(math.radians(self.angle))
        # From the centre of the box, in cells, which are square.
        x = _centres(width) - (left + right) / 2 * width
        y = _centres(height)[:, None] - (top + bottom) / 2 * height
        cell = abs(sine) + abs(cosine)
        wide = _overlap(cosine * x + sine * y, cell, (right - left) * width)
        tall = _overlap(cosine * y - sine * x, cell, (bottom - top) * height)
        return (wide * tall).to(maps)


def _centres(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.float64) + 0.5


def _overlap(centres: Tensor, cell: float, length: float) -> Tensor:
    """Part of cells about these centres that lies within a length about 0."""
    ends = (centres + cell / 2).clamp(max=length / 2) - (centres - cell / 2).clamp(min=-length / 2)
    return ends.clamp(min=0) / cell


def _layout(maps: Tensor, covered: Tensor) -> Tensor:
    inside = (maps * covered).sum((-2, -1)) / maps.sum((-2, -1))
    return (1 - inside).square().mean(1)


def _boxdiff(maps: Tensor, covered: Tensor) -> Tensor:
    """Inner, outer and corner terms of one word's maps (B, h, w)."""
    box = (covered >= min(0.5, float(covered.max()))).to(maps)
    inside = _strongest(maps, box == 1)
    outside = _strongest(maps, box == 0)
    gaps = [
        (maps.amax(axis) - box.amax(axis)).abs()[:, _corners(box.amax(axis))] for axis in (-2, -1)
    ]
    return 1 - inside + outside + torch.cat(gaps, 1).mean(1)


def _strongest(maps: Tensor, where: Tensor) -> Tensor:
    """Mean of the strongest cells (B, h, w) of an area (h, w); 0 where the area is empty."""
    cells = maps[:, where]
    if cells.shape[1] == 0:
        return maps.new_zeros(len(maps))
    return cells.topk(max(1, round(SHARE * cells.shape[1])), 1).values.mean(1)


def _corners(line: Tensor) -> Tensor:
    """Cells within reach of either end of a box's projection (n,), booleans."""
    inside = line.nonzero().flatten()
    cells = torch.arange(len(line), device=line.device)
    ends = torch.stack([inside[0], inside[-1]])
    return ((cells[:, None] - ends).abs() <= REACH).any(1)
