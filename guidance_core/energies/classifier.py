"""A label that a classifier should see.

References:
    Universal Guidance for Diffusion Models, Bansal et al. 2023, arXiv:2302.07121, section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from ..networks.labels import index_of, name_of, shortfall
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
    """How far a label's probability is below `confidence`, in nats, >= 0.

    From cross-entropy over the labels, or softplus(-logit) where the network's labels are
    independent. Deviates: below 1, confidence says when a sample is done, since a step of
    normalised size (the scale `relative`) never fades by itself.

    Arguments:
        network: the classifier, a module.
        label: one of the network's labels.
        confidence: probability from which on the energy is 0, in (0, 1]; 1, the published energy,
            is never reached. Keep 1 where a negative weight moves away from the label.

    Raises:
        TypeError: a network without labels, such as a CLIP model.
        ValueError: a label that the network does not know, or a confidence out of range.
    """

    network: Classifier
    label: str
    confidence: float = 1.0
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not hasattr(self.network, "labels"):
            raise TypeError(
                f"a label needs a classifier, got {name_of(self.network)}: load one as classifier"
            )
        index_of(self.label, self.network.labels, self.network)
        if not 0 < self.confidence <= 1:
            raise ValueError(f"confidence must be above 0 and at most 1, got {self.confidence}")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        logits = full_precision(estimate.image_through(self.network))
        index = index_of(self.label, self.network.labels, self.network)
        return shortfall(logits, index, self.confidence, multi_label=self.network.multi_label)

    def reached(self, sigma: float) -> float | None:
        """At 0, the confidence that was asked; a confidence of 1 is never reached."""
        return 0.0 if self.confidence < 1 else None
