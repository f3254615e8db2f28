"""An image that was measured: blurred, shrunk, covered, without colour or full of noise.

References:
    Diffusion Posterior Sampling, Chung et al. 2023, arXiv:2209.14687, eq. (16).
    Morozov 1966, On the solution of functional equations by the method of regularization: the
    discrepancy principle.
    Deviates: the mean of the squared residual, not its norm, which is `squared_norm`'s root; and
    residuals below the noise count as none (the discrepancy principle), so that noise is not
    reproduced.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..image.batches import expand_batch
from ..image.degradations import Compose, Operator
from ..image.masks import mask_at, mask_product, masked_mean
from ..process import full_precision, lengths
from ..types import Estimate


@dataclass(frozen=True, eq=False)
class Measurement:
    """Mean squared difference between what is measured of the image and what was measured.

    energy = max(mean (A image - measured)^2 - noise^2, 0). Times N / (2 noise^2), with N measured
    values, it is the negative log-likelihood of Gaussian noise, up to a constant.

    Arguments:
        measured: shape (1, c, h, w) or (B, c, h, w), what A gives of images in [0, 1].
        operator: A, see `operators`.
        noise: standard deviation of the noise in `measured`, >= 0.
        mask: weight of each measured place, shape (H, W) or (B, H, W), values in [0, 1], any size.

    Raises:
        ValueError: negative noise; and when called, `measured` does not have the size that A gives.
    """

    measured: Tensor
    operator: Operator = field(default_factory=Compose)
    noise: float = 0.0
    mask: Tensor | None = None
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.measured.ndim != 4 or not self.measured.isfinite().all():
            raise ValueError(
                "measured must be finite, of N x channels x height x width, got "
                f"{lengths(self.measured)}"
            )
        if not self.noise >= 0:
            raise ValueError(f"noise must be >= 0, got {self.noise}")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        squared = self.residual(full_precision(estimate.image)).square()
        return (masked_mean(squared, self.mask) - self.noise**2).clamp_min(0)

    def reached(self, sigma: float) -> float | None:
        """At 0, residuals no larger than the noise; without noise nothing says what is enough."""
        return 0.0 if self.noise > 0 else None

    def residual(self, image: Tensor) -> Tensor:
        """What is measured of images (B, 3, H, W), minus what was measured: (B, c, h, w)."""
        now = self.operator(image)
        if now.shape[1:] != self.measured.shape[1:]:
            raise ValueError(
                f"what was measured is {_size(self.measured)}, what is measured of the image "
                f"({_size(image)}) is {_size(now)}: crop or resize the reference, or change the "
                "size of the latent"
            )
        return now - expand_batch(self.measured, now, "the measured reference")

    def weighted_residual(self, image: Tensor) -> Tensor:
        """The residual in units of equal noise: times the root of each value's weight."""
        residual = self.residual(image)
        return (
            residual
            if self.mask is None
            else residual * mask_at(self.mask, residual)[:, None].sqrt()
        )

    @property
    def linear(self) -> Measurement:
        """Itself: it is linear in the image."""
        return self

    def within(self, mask: Tensor) -> Measurement:
        """The same measurement, of a part of the image."""
        return replace(self, mask=mask_product(mask, self.mask))

    @property
    def squared_norm(self) -> ResidualNorm:
        """The same, as the square of what DPS and TFG follow."""
        return ResidualNorm(self)


@dataclass(frozen=True, eq=False)
class ResidualNorm:
    """Square of the norm of a measurement's residual, in images of the published range [-1, 1].

    energy = 4 max(|A image - measured| - sqrt(N) noise, 0)^2 over N measured values: the squared
    distance from all images that the noise allows. The root of it is as steep as the norm itself,
    however near the noise is; the root of `Measurement` is not, whose gradient
    A^T r / (N sqrt(mean - noise^2)) has no bound there.

    Arguments:
        measurement: what was measured, in [0, 1].
    """

    measurement: Measurement
    reads_image: ClassVar[bool] = True

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        image, noise = full_precision(estimate.image), self.measurement.noise
        residual = self.measurement.residual(image)
        count = _weight(residual, self.measurement.mask)
        total = masked_mean(residual.square(), self.measurement.mask) * count
        if noise == 0:
            return 4 * total
        least = noise * count.sqrt()
        beyond = total > least.square()
        safe = torch.where(beyond, total, torch.ones_like(total))  # no root of 0 in the graph
        return 4 * torch.where(beyond, safe.sqrt() - least, 0.0).square()

    def within(self, mask: Tensor) -> ResidualNorm:
        """The same, of a part of the image."""
        return ResidualNorm(self.measurement.within(mask))


def _weight(values: Tensor, mask: Tensor | None) -> Tensor:
    """How many of the values (B, c, h, w) count, shape (B,)."""
    if mask is None:
        return values.new_full(values.shape[:1], values[0].numel())
    return values.shape[1] * mask_at(mask, values).flatten(1).sum(1)


def _size(values: Tensor) -> str:
    channels, height, width = values.shape[1:]
    return f"{width}x{height} with {channels} channel{'s' * (channels != 1)}"
