"""A label that a classifier should see.

References:
    Universal Guidance for Diffusion Models, Bansal et al. 2023, arXiv:2302.07121, section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from ..captures import Capture
from ..labels import called, index_of
from ..process import full_precision
from ..types import Estimate


class Classifier(Protocol):
    """A guide network with K labels."""

    labels: tuple[str, ...]
    multi_label: bool

    def __call__(self, image: Tensor, /) -> Tensor:
        """Logits (B, K) of images (B, 3, H, W) in [0, 1]."""
        ...


@dataclass(frozen=True)
class ClassLabel:
    """Negative log-probability of a label, in nats, >= 0.

    Cross-entropy over the labels, or softplus(-logit) where the network's labels are independent.

    Arguments:
        network: the classifier, a module.
        label: one of the network's labels.

    Raises:
        TypeError: a network without labels, such as a CLIP model.
        ValueError: a label that the network does not know.
    """

    network: Classifier
    label: str
    captures: ClassVar[frozenset[Capture]] = frozenset()
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not hasattr(self.network, "labels"):
            raise TypeError(
                f"a label needs a classifier, got {called(self.network)}: load one as classifier"
            )
        index_of(self.label, self.network.labels, self.network)

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        logits = full_precision(estimate.seen_by(self.network))
        index = index_of(self.label, self.network.labels, self.network)
        if self.network.multi_label:
            return F.softplus(-logits[:, index])
        return -logits.log_softmax(1)[:, index]

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """The classifier."""
        return (self.network,)  # type: ignore[return-value]
