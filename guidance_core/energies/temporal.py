"""Colour and brightness that stay the same along a video.

References:
    Color Transfer between Images, Reinhard et al. 2001, IEEE Computer Graphics and Applications
    21(5): the colours of an image as mean and standard deviation of each channel.
    Deviates: of latents or RGB, and as an energy between the frames of a video.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from ..image.frames import LOOKS, check_several, frame_shown
from ..image.masks import mask_at
from ..steering import check_choice
from ..types import Estimate

COMPARISONS = ("mean", "first", "previous")
# Below it the root's slope counts as 0: a flat frame has no direction of more contrast.
FLAT = 1e-12


@dataclass(frozen=True, eq=False)
class Temporal:
    """How far mean and standard deviation of each channel drift from frame to frame, >= 0.

    energy = mean over frames and channels of (mean - mean')^2 + (std - std')^2, where ' is of the
    frame that is compared with. 0 where every frame has the same colours, wherever they are.

    Arguments:
        compare: with the mean over all frames, with the first frame, which is taken as it is, or
            with the previous frame (flicker rather than drift).
        look: at the latent, which decodes nothing, or at the image, decoded frame by frame.
        every: every n-th latent frame is looked at, >= 1.
        mask: weight of each pixel, shape (H, W) or (B, H, W), values in [0, 1], any size.
        batch_is_video: the samples of the batch are the frames of one video.

    Raises:
        ValueError: an unknown choice, every below 1; when called, fewer than two frames.
    """

    compare: str = "mean"
    look: str = "latent"
    every: int = 1
    mask: Tensor | None = None
    batch_is_video: bool = field(default=False, kw_only=True)
    reads_video: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("compare", self.compare, COMPARISONS)
        check_choice("look", self.look, LOOKS)
        if self.every < 1:
            raise ValueError(f"every must be >= 1, got {self.every}")

    @property
    def reads_image(self) -> bool:
        """Whether frames are decoded."""
        return self.look == "image"

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        check_several(estimate)
        chosen = sorted({*range(0, estimate.frames, self.every), estimate.frames - 1})
        frames = [frame_shown(estimate, index, self.look) for index in chosen]
        colours = torch.stack([_colours(frame, self.mask) for frame in frames], 1)
        return self._drift(colours).square().sum(3).mean((1, 2))

    def _drift(self, colours: Tensor) -> Tensor:
        """Differences of colours (B, T, C, 2) of frames."""
        if self.compare == "mean":
            return colours - colours.mean(1, keepdim=True)
        if self.compare == "first":
            return colours[:, 1:] - colours[:, :1].detach()
        return colours.diff(dim=1)


def _colours(frame: Tensor, mask: Tensor | None) -> Tensor:
    """Mean and standard deviation of each channel of a frame (B, C, h, w), shape (B, C, 2)."""
    weights = torch.ones_like(frame[:, 0]) if mask is None else mask_at(mask, frame)
    weights = weights / weights.sum((1, 2), keepdim=True).clamp_min(FLAT)
    mean = (frame * weights[:, None]).sum((2, 3))
    variance = ((frame - mean[..., None, None]).square() * weights[:, None]).sum((2, 3))
    return torch.stack([mean, variance.clamp_min(FLAT).sqrt()], 2)
