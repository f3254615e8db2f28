"""The posterior mean of what was measured: the step of the calibrated scale for an inverse problem.

The likelihood of a linear measurement with Gaussian noise is averaged over x0 given x in closed
form, once x0 given x is taken for a Gaussian.

References:
    Learning Diffusion Priors from Observations by Expectation Maximization, Rozet et al. 2024,
    arXiv:2405.13712, its moment matching posterior sampling (MMPS): Tweedie's covariance
    V[x0 | x] = sigma^2 / alpha dD/dx, and conjugate gradients.
    Deviates: a decoder that is not linear is differentiated forwards by a difference, since kernels
    of attention have no second derivative. The derivative of a trained network is no covariance:
    it is neither symmetric nor positive, and steps explode. Conjugate gradients therefore stop
    where it has no variance along their way; a step after which the residual would have risen, to
    first order, ends where it is least; and its RMS is at most MOST_STEP standard deviations of x0
    given x. The exact denoisers of docs/truth.md do none of this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from .gradient_faults import check_finite
from .gradients import pulled_back
from .process import full_precision, per_sample, posterior_std
from .run import Run
from .shaping import LEAST_ALPHA, clip_rms, rms, unit_rms
from .types import Denoiser, Energy, Estimate

LEAST_NOISE = 1 / 512  # of a measurement that claims none: half a grey level of 8 bits
NUDGE = 0.1  # RMS of the change of x0 over which a decoder is taken for linear
MOST_STEP = 2.0  # RMS of a step of strength 1, in standard deviations of x0 given x


class LinearMeasurement(Protocol):
    """A linear measurement of images with Gaussian noise."""

    noise: float

    def weighted_residual(self, image: Tensor, /) -> Tensor:
        """What is measured of images (B, 3, H, W) minus what was, in units of equal noise."""
        ...


def linear_measurement(energy: Energy) -> LinearMeasurement | None:
    """The linear measurement that an energy is, whatever mask and weight; None if it is none."""
    return getattr(energy, "linear", None)


def measured_gradient(
    energy: Energy,
    measurement: LinearMeasurement,
    denoise: Denoiser,
    x: Tensor,
    sigma: Tensor,
    run: Run,
    *,
    iterations: int,
    look_at: str,
    rule: str,
) -> tuple[Estimate, Tensor, Tensor]:
    """As `through_model`, of -log p(measured | x); the value returned is the energy's at x0.

    Arguments:
        energy: the energy that the measurement is.
        measurement: what was measured.
        denoise: model, or an inner rule around it.
        x: noisy latent, shape (B, C, *S).
        sigma: noise level, shape (B,).
        run: facts of this run.
        iterations: of conjugate gradients, >= 1; each a backward pass through the model.
        look_at: which estimate the energy is shown, see `Estimate.seen`.
        rule: name for error messages.
    """
    shared = x.requires_grad
    with torch.enable_grad():
        tracked = x if shared else x.detach().requires_grad_()
        estimate = denoise(tracked, sigma)
    around = _around(estimate.seen(look_at), tracked, measurement)
    with torch.no_grad():
        value = energy(around.estimate)
    alpha = run.alpha(sigma)
    factor = sigma.square() / alpha.clamp_min(LEAST_ALPHA)
    noise = max(measurement.noise, LEAST_NOISE)
    grad = _solved(around, per_sample(factor, x), noise**2, iterations)
    check_finite(grad, "gradient", rule, energy, estimate)
    grad = clip_rms(grad, MOST_STEP * posterior_std(sigma, alpha) / factor)
    return estimate if shared else estimate.detached(), value, grad


@dataclass(frozen=True, eq=False)
class _Around:
    """The residual of a measurement around an estimate.

    Arguments:
        measurement: what was measured.
        estimate: the estimate, without the model's graph, x0 being a leaf.
        residual: shape (B, c, h, w), with a graph from x0.
        x0: the estimate's x0, with the model's graph.
        x: the model's input, tracked.
    """

    measurement: LinearMeasurement
    estimate: Estimate
    residual: Tensor
    x0: Tensor
    x: Tensor

    def backward(self, weights: Tensor) -> Tensor:
        """Derivative with respect to x, like x, of the residual's dot product with weights."""
        (slope,) = torch.autograd.grad(self.residual, self.estimate.x0, weights, retain_graph=True)
        return pulled_back([(self.x0, slope)], self.x, keep_graph=True)

    @torch.no_grad()
    def forward(self, change: Tensor) -> Tensor:
        """Change of the residual per change of x0, by a difference."""
        nudged = self.estimate.detached().moved(NUDGE * unit_rms(change))
        there = self.measurement.weighted_residual(full_precision(nudged.image))
        return (there - self.residual) * per_sample(rms(change) / NUDGE, there)


def _around(seen: Estimate, x: Tensor, measurement: LinearMeasurement) -> _Around:
    if not seen.x0.requires_grad:
        raise RuntimeError("no gradient reaches the model's input")
    estimate = replace(seen.detached(), x0=seen.x0.detach().requires_grad_())
    with torch.enable_grad():
        residual = measurement.weighted_residual(full_precision(estimate.image))
    return _Around(measurement, estimate, residual, seen.x0, x)


def _solved(around: _Around, factor: Tensor, variance: float, iterations: int) -> Tensor:
    """J^T A^T v, like x, with (variance + A C A^T) v = the residual, by conjugate gradients.

    J is dD/dx, C = factor J the covariance of x0, A the derivative of what is measured. A sample
    stops, with what it has found, where C has no variance along its way.
    """
    left = around.residual.detach()
    way, grad, gone, size = left, torch.zeros_like(around.x), left * 0.0, _dot(left, left)
    going = size > 0
    for _ in range(iterations):
        slope = around.backward(way)
        spread = around.forward(factor * slope)
        along = _dot(way, spread)
        going = going & (along > 0)
        if not going.any():
            break
        step = torch.where(going, size / (along + variance * _dot(way, way)), 0.0)
        grad = grad + per_sample(step, slope) * slope
        gone = gone + per_sample(step, left) * spread
        left = left - per_sample(step, left) * (spread + variance * way)
        before, size = size, _dot(left, left)
        way = left + per_sample(torch.where(going, size / before, 0.0), way) * way
    return grad * per_sample(_share(around.residual.detach(), gone), grad)


def _share(residual: Tensor, gone: Tensor) -> Tensor:
    """How much of a step that takes `gone` off the residual to take, in [0, 1], shape (B,)."""
    tiny = torch.finfo(gone.dtype).tiny
    least = _dot(residual, gone) / _dot(gone, gone).clamp_min(tiny)  # |residual - least gone|
    return torch.where(least < 0.5, least.clamp_min(0.0), 1.0)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).flatten(1).sum(1)
