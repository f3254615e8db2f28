"""What lies where, by a segmenter.

References:
    Universal Guidance for Diffusion Models, Bansal et al. 2023, arXiv:2302.07121, section 4.2 (mean
    cross-entropy of the pixels).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..captures import Capture
from ..labels import called, index_of
from ..pictures import batched, check_pictures, placed
from ..process import full_precision
from ..shaping import mask_at
from ..types import Estimate

IGNORED = 255  # class of pixels that may be anything, as in Pascal VOC
OUTSIDE = ("other", "ignored")


class Segmenter(Protocol):
    """A guide network with K labels for every pixel."""

    pixel_labels: tuple[str, ...]

    def __call__(self, image: Tensor, /) -> Tensor:
        """Logits (B, K, h, w) of images (B, 3, H, W) in [0, 1]."""
        ...


def check_segmenter(network: object) -> None:
    """Refuse another kind of network with a TypeError."""
    if not hasattr(network, "pixel_labels"):
        raise TypeError(f"segmentation needs a segmenter, got {called(network)}: load one as such")


@dataclass(frozen=True, eq=False)
class LabelArea:
    """Negative log-probability that a label is where it should be, in nats.

    The mean of -log p(label) inside the area, plus the mean of -log(1 - p(label)) outside it, so
    that a small area counts as much as all that is around it.

    Arguments:
        network: the segmenter, a module.
        label: one of its labels.
        area: where the label should be, shape (H, W) or (B, H, W), values in [0, 1], any size.
        outside: "other" (there it should not be) or "ignored" (there anything goes).

    Raises:
        TypeError: another kind of network.
        ValueError: an unknown label, an empty area, or another `outside`.
    """

    network: Segmenter
    label: str
    area: Tensor
    outside: str = "other"
    captures: ClassVar[frozenset[Capture]] = frozenset()
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_segmenter(self.network)
        index_of(self.label, self.network.pixel_labels, self.network)
        if self.outside not in OUTSIDE:
            raise ValueError(f"outside must be other or ignored, got {self.outside!r}")
        if self.area.ndim not in (2, 3) or not (self.area.flatten(-2).amax(-1) > 0).all():
            raise ValueError(f"the area of {self.label!r} is empty: paint where it should be")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        logits = full_precision(estimate.seen_by(self.network))
        index = index_of(self.label, self.network.pixel_labels, self.network)
        others = torch.cat([logits[:, :index], logits[:, index + 1 :]], 1).logsumexp(1)
        margin = logits[:, index] - others
        inside = _mean(F.softplus(-margin), mask_at(self.area, logits))
        if self.outside == "ignored":
            return inside
        return inside + _mean(F.softplus(margin), 1 - mask_at(self.area, logits))

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """The segmenter."""
        return (self.network,)  # type: ignore[return-value]


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of each row of (B, h, w), shape (B,); 0 where no pixel counts."""
    total = weights.flatten(1).sum(1).clamp_min(torch.finfo(weights.dtype).tiny)
    return (values * weights).flatten(1).sum(1) / total


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Mean pixel cross-entropy of a class map, in nats.

    Arguments:
        network: the segmenter, a module.
        classes: number of each pixel's label, shape (H, W) or (B, H, W), integers, any size; 255
            is ignored. Or pictures (1, 3, h, w) or (B, 3, h, w) in [0, 1], whose own segmentation
            is the map (published).

    Raises:
        TypeError: another kind of network.
        ValueError: a number without a label, or a map that ignores every pixel.
    """

    network: Segmenter
    classes: Tensor
    captures: ClassVar[frozenset[Capture]] = frozenset()
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_segmenter(self.network)
        if self.classes.is_floating_point():
            check_pictures(self.classes)
            return
        count = len(self.network.pixel_labels)
        known = self.classes[self.classes != IGNORED]
        if self.classes.ndim not in (2, 3) or known.numel() == 0:
            raise ValueError(
                "a class map has shape (H, W) or (B, H, W) and some pixel that is not ignored (255)"
            )
        if known.min() < 0 or known.max() >= count:
            raise ValueError(
                f"{called(self.network)} has labels 0 to {count - 1}, the class map has numbers "
                f"from {int(known.min())} to {int(known.max())}"
            )

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        logits = full_precision(estimate.seen_by(self.network))
        classes = F.interpolate(self._map[:, None].float(), logits.shape[-2:], mode="nearest")
        target = batched(classes, logits, "the class map")[:, 0].long()
        each = F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="none")
        return each.flatten(1).sum(1) / (target != IGNORED).flatten(1).sum(1).clamp_min(1)

    @cached_property
    def _map(self) -> Tensor:
        """The class map, shape (N, h, w)."""
        if not self.classes.is_floating_point():
            return self.classes if self.classes.ndim == 3 else self.classes[None]
        with torch.no_grad():
            return self.network(placed(self.classes, self.networks[0])).argmax(1)

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """The segmenter."""
        return (self.network,)  # type: ignore[return-value]
