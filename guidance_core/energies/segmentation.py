"""What lies where, by a segmenter.

References:
    Universal Guidance for Diffusion Models, Bansal et al. 2023, arXiv:2302.07121, section 4.2 (mean
    cross-entropy of the pixels).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..image.batches import cast_to_weights, check_images, expand_batch
from ..networks.labels import name_of
from ..networks.protocols import Segmenter, check_segmenter
from ..process import full_precision
from ..types import Estimate

IGNORED = 255  # class of pixels that may be anything, as in Pascal VOC


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Mean pixel cross-entropy of a class map, in nats.

    Arguments:
        network: the segmenter, a module.
        classes: number of each pixel's label, shape (H, W) or (B, H, W), integers, any size; 255
            is ignored. Or images (1, 3, h, w) or (B, 3, h, w) in [0, 1], whose own segmentation
            is the map (published).

    Raises:
        TypeError: another kind of network.
        ValueError: a number without a label, or a map that ignores every pixel.
    """

    network: Segmenter
    classes: Tensor
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_segmenter(self.network)
        if self.classes.is_floating_point():
            check_images(self.classes)
            return
        count = len(self.network.pixel_labels)
        known = self.classes[self.classes != IGNORED]
        if self.classes.ndim not in (2, 3) or known.numel() == 0:
            raise ValueError(
                "a class map has shape (H, W) or (B, H, W) and some pixel that is not ignored (255)"
            )
        if known.min() < 0 or known.max() >= count:
            raise ValueError(
                f"{name_of(self.network)} has labels 0 to {count - 1}, the class map has numbers "
                f"from {int(known.min())} to {int(known.max())}"
            )

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        logits = full_precision(estimate.image_through(self.network))
        classes = F.interpolate(self._map[:, None].float(), logits.shape[-2:], mode="nearest")
        target = expand_batch(classes, logits, "the class map")[:, 0].long()
        each = F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="none")
        return each.flatten(1).sum(1) / (target != IGNORED).flatten(1).sum(1).clamp_min(1)

    @cached_property
    def _map(self) -> Tensor:
        """The class map, shape (N, h, w)."""
        if not self.classes.is_floating_point():
            return self.classes if self.classes.ndim == 3 else self.classes[None]
        with torch.no_grad():
            return self.network(cast_to_weights(self.classes, self.network)).argmax(1)
