"""The outline of a word in the image.

References:
    Diffusion Self-Guidance for Controllable Image Generation, Epstein et al. 2023,
    arXiv:2306.00986, section 3.2 (object shape).
    Deviates: the outline may also be a mask that somebody painted, and it is moved, scaled and
    turned about its own centre, not about where the word is now; unless `measure` is published, it
    is of a whole word, not of each token, and maps count as flat by their own height, not below
    1e-4. A mask that lies nowhere near the outline has hardly a slope towards it: "with layout"
    adds the loss of layout guidance (Chen et al. 2023, arXiv:2304.03373, eq. (1)), of the outline
    in place of a box. In the task "objects of two images in one" of bench.editing 5 of 6 pairs come
    out complete and in place with it, 1 of 6 without.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attention import self_guidance
from ..attention.maps import centroid, maps_in, soft_masks
from ..attention.references import MOMENTS, Reference, maps_recorded
from ..attention.words import Word, attention_to, positions_of
from ..captures import DEFAULT, Capture, Layers
from ..image.masks import mask_over
from ..steering import check_choice
from ..types import Estimate

MEASURES = (*self_guidance.MEASURES, "with layout")


@dataclass(frozen=True, eq=False)
class Shape:
    """Difference between the words' soft masks and an outline.

    energy = mean over words (published: tokens), layers and pixels of |mask(A) - outline|, in
    [0, 1]; with layout, plus the mean over words and layers of (1 - attention in the outline / all
    attention)^2.

    Arguments:
        words: words of the positive prompt, at least one.
        outline: mask (H, W) or (B, H, W) in [0, 1], any size, the same for every word; None with a
            reference.
        reference: another run, whose hard masks are the outlines.
        shift: x and y by which the outline moves, in [-1, 1] of the image.
        scale: factor of the outline's width and height, > 0.
        layers: layers of attention to read.
        angle: degrees by which the outline is turned, clockwise, in [-180, 180].
        measure: adapted, published (Self-Guidance's own), or with layout.
        source: the words in the reference's prompt, one for each, where that prompt is another.
        moment: when the reference is looked at: at the sample's own noise level ("same step"), as
            Self-Guidance does, or at its last one, where every object has its place.

    Raises:
        ValueError: no words, an empty outline, an argument outside its range, not just one of
            outline and reference, an unknown measure or moment, or words of the source that are
            not as many.
    """

    words: tuple[Word, ...]
    outline: Tensor | None = None
    reference: Reference | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    layers: Layers = DEFAULT
    angle: float = 0.0
    measure: str = "adapted"
    source: tuple[Word, ...] = field(default=(), kw_only=True)
    moment: str = field(default=MOMENTS[0], kw_only=True)

    def __post_init__(self) -> None:
        check_choice("measure", self.measure, MEASURES)
        check_choice("moment", self.moment, MOMENTS)
        positions_of(self.words)
        self_guidance.measured(self.words, self.source, self.measure)
        if (self.outline is None) == (self.reference is None):
            raise ValueError("a shape needs an outline or a reference, and not both")
        if self.outline is not None and not (self.outline.flatten(-2).amax(-1) > 0).all():
            raise ValueError("the outline is empty: paint the shape that the word should have")
        if not all(-1 <= value <= 1 for value in self.shift) or not self.scale > 0:
            raise ValueError(
                f"need a shift in [-1, 1] and a scale > 0, got {self.shift} and {self.scale}"
            )
        if not abs(self.angle) <= 180:
            raise ValueError(f"need an angle in [-180, 180] degrees, got {self.angle}")

    @property
    def captures(self) -> frozenset[Capture]:
        """Maps of the words."""
        return frozenset({attention_to(self.words, self.layers)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        words, source = self_guidance.measured(self.words, self.source, self.measure)
        layers = maps_in(estimate, words, self.layers)
        outlines = list(map(self._moved, self._outlines(estimate, layers, words, source)))
        masks = self_guidance.soft_masks if self.measure == "published" else soft_masks
        gaps = [
            (masks(maps) - outline).abs().flatten(1).mean(1)
            for maps, outline in zip(layers, outlines, strict=True)
        ]
        energy = torch.stack(gaps).mean(0)
        if self.measure != "with layout":
            return energy
        shares = [_outside(maps, outline) for maps, outline in zip(layers, outlines, strict=True)]
        return energy + torch.stack(shares).mean(0)

    def _outlines(
        self,
        estimate: Estimate,
        layers: list[Tensor],
        words: tuple[Word, ...],
        source: tuple[Word, ...],
    ) -> list[Tensor]:
        """Hard masks for each layer and word, (B, W or 1, h, w), of video with a frame axis."""
        if self.reference is None:
            outline = cast(Tensor, self.outline)
            return [(mask_over(outline, maps) >= 0.5).to(maps) for maps in layers]
        found = (self.reference, estimate, words, self.layers, source, self.moment)
        recorded = maps_recorded(*found)
        if self.measure == "published":
            return [self_guidance.hard_masks(maps) for maps in recorded]
        return [(soft_masks(maps) > 0.5).to(maps) for maps in recorded]

    def _moved(self, outline: Tensor) -> Tensor:
        """Outlines (B, W, ..., h, w) scaled and turned about their centres, and shifted."""
        if self.shift == (0.0, 0.0) and self.scale == 1.0 and self.angle == 0.0:
            return outline
        masks = outline.flatten(0, -3)[:, None]
        # Pixel p shows what was at c + back (p - shift - c), in coordinates of [-1, 1].
        back = masks.new_tensor(self._back(masks.shape[-2] / masks.shape[-1]))
        centre = 2 * centroid(masks)[:, 0] - 1
        offset = centre - (centre + 2 * masks.new_tensor(self.shift)) @ back.T
        grid = F.affine_grid(
            torch.cat([back.expand(len(masks), 2, 2), offset[:, :, None]], 2),
            list(masks.shape),
            align_corners=False,
        )
        moved = F.grid_sample(masks, grid, align_corners=False)
        return (moved >= 0.5).to(outline).reshape(outline.shape)

    def _back(self, tall: float) -> list[list[float]]:
        """Turns back and scales back x and y of images that are `tall` times as high as wide."""
        sine, cosine = math.sin(math.radians(self.angle)), math.cos(math.radians(self.angle))
        turn = [[cosine, tall * sine], [-sine / tall, cosine]]
        return [[part / self.scale for part in row] for row in turn]


def _outside(maps: Tensor, outline: Tensor) -> Tensor:
    """Squared share of the attention (B, W, ..., h, w) outside of an outline, mean over words."""
    inside = (maps * outline).sum((-2, -1)) / maps.sum((-2, -1))
    return (1 - inside).square().flatten(1).mean(1)
