"""Frames of a video: how many there must be, and what one of them shows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..process import full_precision
from ..types import Estimate

LOOKS = ("latent", "image")
NO_VIDEO = (
    "expected a video of two frames or more, got {got}: sample a video, or set time to batch where "
    "the images of the batch are its frames"
)


def check_several(estimate: Estimate) -> None:
    """Refuse an estimate of one frame with a ValueError."""
    if estimate.frames < 2:
        raise ValueError(NO_VIDEO.format(got="one frame"))


def frame_shown(estimate: Estimate, index: int, look: str) -> Tensor:
    """One frame: its latent (B, C, h, w), or its image (B, 3, H, W).

    Only the image is kept: what decoded it is computed again for its gradient, so that a video
    takes the memory of one frame.

    Arguments:
        estimate: of a video.
        index: of the latent frame.
        look: latent or image.
    """
    frame = estimate.frame(index)
    if look == "latent":
        return full_precision(frame.x0[:, :, 0])
    if frame.decode is None or not (torch.is_grad_enabled() and frame.x0.requires_grad):
        return full_precision(frame.image)
    image: Tensor = checkpoint(
        frame.decode, frame.x0, use_reentrant=False, preserve_rng_state=False
    )
    return full_precision(image)
