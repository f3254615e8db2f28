"""Where a label lies, by a segmenter.

References:
    Universal Guidance for Diffusion Models, Bansal et al. 2023, arXiv:2302.07121, section 4.2 (mean
    cross-entropy of the pixels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..image.masks import mask_at
from ..networks.labels import index_of
from ..networks.protocols import Segmenter, check_segmenter
from ..process import full_precision
from ..types import Estimate

OUTSIDE = ("other", "ignored")


@dataclass(frozen=True, eq=False)
class LabelArea:
    """Negative log-probability that a label is where it should be, in nats.

    The mean of -log p(label) inside the area, plus the mean of -log(1 - p(label)) outside it, so
    that a small area counts as much as all that is around it.

    Arguments:
        network: the segmenter, a module.
        label: one of its labels.
        area: where the label should be, shape (H, W) or (B, H, W), values in [0, 1], any size.
        outside: "other" (there it should not be) or "ignored" (it may be anywhere there).

    Raises:
        TypeError: another kind of network.
        ValueError: an unknown label, an empty area, or another `outside`.
    """

    network: Segmenter
    label: str
    area: Tensor
    outside: str = "other"
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_segmenter(self.network)
        index_of(self.label, self.network.pixel_labels, self.network)
        if self.outside not in OUTSIDE:
            raise ValueError(f"outside must be other or ignored, got '{self.outside}'")
        if self.area.ndim not in (2, 3) or not (self.area.flatten(-2).amax(-1) > 0).all():
            raise ValueError(f"the area of '{self.label}' is empty: paint where it should be")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        logits = full_precision(estimate.image_through(self.network))
        index = index_of(self.label, self.network.pixel_labels, self.network)
        others = torch.cat([logits[:, :index], logits[:, index + 1 :]], 1).logsumexp(1)
        margin = logits[:, index] - others
        inside = _mean(F.softplus(-margin), mask_at(self.area, logits))
        if self.outside == "ignored":
            return inside
        return inside + _mean(F.softplus(margin), 1 - mask_at(self.area, logits))


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of each row of (B, h, w), shape (B,); 0 where no pixel counts."""
    total = weights.flatten(1).sum(1).clamp_min(torch.finfo(weights.dtype).tiny)
    return (values * weights).flatten(1).sum(1) / total
