"""A label that a classifier should see.

References:
    Universal Guidance for Diffusion Models, Bansal et al. 2023, arXiv:2302.07121, section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar, Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from ..captures import Capture
from ..process import full_precision
from ..types import Estimate

LISTED = 40  # labels that an error shows


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
                f"a label needs a classifier, got {_called(self.network)}: load one as classifier"
            )
        if self.label not in self.network.labels:
            raise ValueError(_unknown(self.label, self.network))

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        logits = full_precision(estimate.seen_by(self.network))
        index = list(self.network.labels).index(self.label)
        if self.network.multi_label:
            return F.softplus(-logits[:, index])
        return -logits.log_softmax(1)[:, index]

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """The classifier."""
        return (self.network,)  # type: ignore[return-value]


def _called(network: object) -> str:
    return str(getattr(network, "name", type(network).__name__))


def _unknown(label: str, network: Classifier) -> str:
    labels = network.labels
    near = get_close_matches(label, labels, n=5, cutoff=0.4)
    listed = [*near, *(other for other in labels if other not in near)][:LISTED]
    more = ", ..." if len(labels) > LISTED else ""
    return (
        f"{_called(network)} has no label {label!r} among its {len(labels)}; "
        f"try one of: {', '.join(listed)}{more}"
    )
