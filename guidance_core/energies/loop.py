"""A video that ends where it begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from ..image.frames import LOOKS, check_several, frame_shown
from ..image.masks import masked_mean
from ..steering import check_choice
from ..types import Estimate


@dataclass(frozen=True, eq=False)
class Loop:
    """Mean squared difference of the last frame and the first, >= 0; both move.

    Arguments:
        look: at the latent, which decodes nothing, or at the image. Of latents whose frames hold
            several images (Wan: one in the first, four in the last) the image is exact.
        mask: weight of each pixel, shape (H, W) or (B, H, W), values in [0, 1], any size.
        batch_is_video: the samples of the batch are the frames of one video.

    Raises:
        ValueError: an unknown look; when called, fewer than two frames.
    """

    look: str = "latent"
    mask: Tensor | None = None
    batch_is_video: bool = field(default=False, kw_only=True)
    reads_video: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("look", self.look, LOOKS)

    @property
    def reads_image(self) -> bool:
        """Whether frames are decoded."""
        return self.look == "image"

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        check_several(estimate)
        first, last = (
            frame_shown(estimate, index, self.look) for index in (0, estimate.frames - 1)
        )
        return masked_mean((last - first).square(), self.mask)
