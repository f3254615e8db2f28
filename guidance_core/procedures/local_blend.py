"""Keep an image as it is outside of what words attend to: Prompt-to-Prompt's local blend.

References:
    Prompt-to-Prompt Image Editing with Cross Attention Control, Hertz et al. 2022,
    arXiv:2208.01626, section 3.2 (local editing) and its code.
    Deviates: the estimate is blended, not the latent after the step, so that every sampler can be
    used; for steps that a share describes, Euler's among them, both are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from ..process import full_precision
from .inversion import Path


def blend_mask(maps: Tensor, size: Sequence[int], threshold: float) -> Tensor:
    """Where attention is above a part of its largest value, a little widened: (B, 1, *S), bool.

    Arguments:
        maps: attention to the words together, shape (B, h, w), with frames (B, T, h, w).
        size: height and width of the latent, with frames before them.
        threshold: part of the largest value, in (0, 1); published is 0.3.
    """
    if len(size) > maps.ndim - 1:
        maps = maps[:, None]
    frames = full_precision(maps).flatten(1, -3) if maps.ndim > 3 else full_precision(maps)[:, None]
    wide = F.max_pool2d(frames, 3, 1, 1).reshape(len(maps), 1, *maps.shape[1:])
    wide = F.interpolate(wide, tuple(size))
    return wide > threshold * wide.flatten(1).amax(1).reshape(-1, *(1,) * (wide.ndim - 1))


def held(x: Tensor, source: Tensor, source_x0: Tensor, share: float) -> Tensor:
    """The estimate with which a step leads from x to where the source goes, shape (B, C, *S).

    A step makes x' = (1 - share) x + share x0, and the source's (1 - share) source + share
    source_x0; both are the same for x0 = source_x0 - (x - source) (1 - share) / share.

    Arguments:
        x: latent at this noise level, shape (B, C, *S).
        source: the source's latent there.
        source_x0: the source's estimate there.
        share: how much of an estimate the step carries into the next latent, in (0, 1].
    """
    return source_x0 - (x - source) * ((1 - share) / share)


@dataclass(frozen=True, eq=False)
class States:
    """Latents and estimates of a source image by noise level.

    Arguments:
        levels: latent and estimate, each (B, C, *S), at noise levels.

    Raises:
        ValueError: there are none.
    """

    levels: dict[float, tuple[Tensor, Tensor]]

    def __post_init__(self) -> None:
        if not self.levels:
            raise ValueError("the source has no states: it was never evaluated")

    def at(self, sigma: float) -> tuple[Tensor, Tensor]:
        """Latent and estimate at a noise level, on the line between the two levels around it."""
        low = max((level for level in self.levels if level <= sigma), default=min(self.levels))
        high = min((level for level in self.levels if level >= sigma), default=max(self.levels))
        if low == high:
            return self.levels[low]
        part = (sigma - low) / (high - low)
        (x, x0), (above, above_x0) = self.levels[low], self.levels[high]
        return torch.lerp(x, above, part), torch.lerp(x0, above_x0, part)


def states_of(path: Path) -> States:
    """The states of an inverted image, with the estimates that lead along its path."""
    levels = {}
    steps = zip(pairwise(path.sigmas.tolist()), pairwise(path.states), strict=True)
    for (high, low), (x, following) in steps:
        levels[high] = (x, x - high * (following - x) / (low - high))
    return States(levels)
