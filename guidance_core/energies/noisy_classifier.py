"""A label that a classifier of the noisy latent should see.

References:
    Diffusion Models Beat GANs on Image Synthesis, Dhariwal and Nichol 2021, arXiv:2105.05233,
    algorithm 2 (classifier guidance). Deviates: of latents, for x = alpha x0 + sigma n.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from ..networks.labels import index_of, name_of, shortfall
from ..process import full_precision, noise_angle, per_sample
from ..types import Estimate


class NoisyClassifier(Protocol):
    """A guide network with K labels of a noisy latent."""

    noisy_labels: tuple[str, ...]
    multi_label: bool

    def __call__(self, latent: Tensor, angle: Tensor, /) -> Tensor:
        """Logits (B, K) of cos(angle) x0 + sin(angle) n, shape (B, C, *S); angle (B,)."""
        ...


@dataclass(frozen=True)
class NoisyClassLabel:
    """How far a label's probability, given the noisy latent, is below `confidence`, in nats, >= 0.

    -log p(label | x) at confidence 1: with the scale `absolute` and strength 1, Forward then moves
    x0 by sigma^2 / alpha grad log p(label | x), to the posterior mean given the label, without
    differentiating the model. A classifier of clean images says p(label | x0) instead, at an
    estimate.

    Arguments:
        network: the classifier, a module.
        label: one of the network's labels.
        confidence: probability from which on the energy is 0, in (0, 1]; 1 is the published energy.

    Raises:
        TypeError: a network of clean images, or without labels.
        ValueError: a label that the network does not know, or a confidence out of range.
    """

    network: NoisyClassifier
    label: str
    confidence: float = 1.0
    reads_noisy: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not hasattr(self.network, "noisy_labels"):
            raise TypeError(
                "a label of the noisy latent needs a classifier that was trained on noisy "
                f"latents, got {name_of(self.network)}: use Load Guide: Noisy"
            )
        index_of(self.label, self.network.noisy_labels, self.network)
        if not 0 < self.confidence <= 1:
            raise ValueError(f"confidence must be above 0 and at most 1, got {self.confidence}")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        if estimate.x is None:
            raise ValueError("this energy reads the noisy latent, and there is none here")
        x, alpha = full_precision(estimate.x), estimate.alpha
        alpha = estimate.sigma.new_ones(estimate.sigma.shape) if alpha is None else alpha
        angle = noise_angle(estimate.sigma, alpha)
        logits = full_precision(self.network(x / per_sample(estimate.radius, x), angle))
        index = index_of(self.label, self.network.noisy_labels, self.network)
        return shortfall(logits, index, self.confidence, multi_label=self.network.multi_label)

    def reached(self, sigma: float) -> float | None:
        """At 0, the confidence that was asked; a confidence of 1 is never reached."""
        return 0.0 if self.confidence < 1 else None
