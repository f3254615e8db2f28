"""Presets in the absolute scale against their authors' formulas, in their own coordinates.

Everything here is written for z = x / r with z = sqrt(abar) x0 + sqrt(1 - abar) n and images in
[-1, 1], as the released code of each method has it, in float64.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from guidance_core.compose import guided
from guidance_core.energies.measurement import Measurement
from guidance_core.image.degradations import Shrink
from guidance_core.noise import seeded_noise
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.presets import PRESETS
from guidance_core.rules.unified import Unified
from guidance_core.run import Run
from guidance_core.schedules import Constant
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, levels, seeded
from tests.ground_truth import flow, ve

SIGMAS = torch.tensor([0.95, 0.8, 0.6, 0.3, 0.0], dtype=DOUBLE)
SEED = 5
SHRINK = Shrink(2, "box")
X = seeded(1, 3, 8, 6, seed=1)
TRUTH = seeded(1, 3, 8, 6, seed=2).tanh()
FAMILIES = pytest.mark.parametrize("alpha", [ve, flow])
STEPS = pytest.mark.parametrize("step", [0, 1, 2])


def model(x: Tensor, sigma: Tensor) -> Estimate:
    """A smooth model; its latents are images in [-1, 1]."""
    size = sigma.view(-1, 1, 1, 1)
    x0 = x / (1 + size**2) + 0.3 * (x / (1 + size)).sin()
    return Estimate(x0, sigma, lambda latent: (latent + 1) / 2)


class Author:
    """One step of DDIM without noise, and what the methods add to it."""

    def __init__(self, alpha, step: int, loss) -> None:
        signal = alpha(SIGMAS).square()
        self.abars = signal / (signal + SIGMAS.square())
        self.abar, self.following = self.abars[step], self.abars[step + 1]
        self.sigma, self.loss = SIGMAS[step], loss
        self.radius = (signal + SIGMAS.square()).sqrt()[step : step + 2]
        self.z = (X / self.radius[0]).requires_grad_()
        self.x0 = model(self.z * self.radius[0], self.sigma[None]).x0

    def smooth(self, x0: Tensor, width: float, draws: int) -> Tensor:
        """log f of TFG: log mean of f over noise of width sqrt(1 - abar), of f = exp(-loss)."""
        spread = width * (1 - self.abar).sqrt()
        noise = [seeded_noise(X, SEED, float(self.sigma), draw) for draw in range(max(draws, 1))]
        values = torch.stack([-self.loss(x0 + spread * n) for n in noise])
        return values.logsumexp(0) - torch.tensor(float(len(noise))).log()

    def gradient(self, value: Tensor, of: Tensor) -> Tensor:
        return torch.autograd.grad(value, of, retain_graph=True)[0]

    def dps(self, size: float) -> Tensor:
        """z_next -= size * d|r|/dz."""
        return -size * self.gradient(self.loss(self.x0), self.z)

    def freedom(self, size: float) -> Tensor:
        """z_next -= sqrt(abar) * size * d|r|/dz."""
        return self.abar.sqrt() * self.dps(size)

    def mpgd(self, size: float) -> Tensor:
        """x0 -= size * d|r|/dx0 / sqrt(abar), the noise of the step kept."""
        x0 = self.x0.detach().requires_grad_()
        grad = self.gradient(self.loss(x0), x0)
        return -self.following.sqrt() * size / self.abar.sqrt() * grad

    def tfg(self, rho: float, mu: float, width: float, draws: int, times: int, pace) -> Tensor:
        """z_next += rho dlogf/dz / sqrt(a) + sqrt(abar_next) delta0, a = abar / abar_next."""
        ratio = self.abar / self.following
        through = self.gradient(self.smooth(self.x0, width, draws), self.z)
        delta, x0 = torch.zeros_like(X), self.x0.detach()
        for _ in range(times if mu else 0):
            there = (x0 + delta).requires_grad_()
            delta = delta + pace * mu * self.gradient(self.smooth(there, width, draws), there)
        return pace * rho * through / ratio.sqrt() + self.following.sqrt() * delta

    def increasing(self) -> Tensor:
        """TFG's schedule a_t of this step over its mean."""
        ratios = self.abars[:-1] / self.abars[1:]
        return self.abar / self.following / ratios.mean()


def residual(x0: Tensor) -> Tensor:
    """|A x0 - y| over all values of images in [-1, 1]."""
    return (SHRINK(x0) - SHRINK(TRUTH)).square().sum().sqrt()


def restoration() -> Measurement:
    """The same as our energy: of images in [0, 1], a mean of squares."""
    return Measurement(SHRINK((TRUTH + 1) / 2), SHRINK)


def label(x0: Tensor) -> Tensor:
    """A loss that is a log-probability, not a norm."""
    return torch.nn.functional.softplus(1 - 3 * x0.tanh().mean())


def of_estimate(estimate: Estimate) -> Tensor:
    return torch.stack([label(row) for row in estimate.x0])


def moved(rule, alpha, step: int) -> Tensor:
    """Change of the next latent z by a rule, after a step of Euler's method."""
    run = Run(alpha, SIGMAS, seed=SEED)
    at, sigma, following = levels(float(SIGMAS[step]), 1), SIGMAS[step], SIGMAS[step + 1]
    change = guided([rule], model, run)(X, at).x0 - model(X, at).x0
    square = alpha(following[None]).square() + following.square()
    return (1 - following / sigma) * change / square.sqrt()


EXPECTED = {
    "DPS": (residual, lambda a: a.dps(0.3)),
    "FreeDoM": (residual, lambda a: a.freedom(0.2)),
    "MPGD": (residual, lambda a: a.mpgd(4.0)),
    "LGD": (label, lambda a: a.tfg(1.0, 0.0, 1.0, 4, 0, 1.0)),
    "universal guidance": (label, lambda a: a.tfg(1.0, 1.0, 0.0, 0, 4, 1.0)),
    "TFG label": (label, lambda a: a.tfg(2.0, 0.5, 0.1, 1, 4, a.increasing())),
    "TFG deblur": (residual, lambda a: a.tfg(1.0, 8.0, 0.01, 1, 4, a.increasing())),
    "TFG super-resolution": (residual, lambda a: a.tfg(4.0, 2.0, 0.01, 1, 4, a.increasing())),
    "TFG style": (
        lambda x0: residual(x0) / 100,
        lambda a: a.tfg(0.25, 2.0, 0.1, 1, 4, a.increasing()),
    ),
}


def test_every_preset_is_compared():
    assert EXPECTED.keys() == PRESETS.keys()


@FAMILIES
@STEPS
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_moves_the_next_latent_as_its_authors_do(name, step, alpha):
    loss, expected = EXPECTED[name]
    energy = of_estimate if loss is label else restoration()
    rule = Unified(energy, Constant(), **PRESETS[name].settings("absolute"))
    actual, expected = moved(rule, alpha, step), expected(Author(alpha, step, loss))
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@FAMILIES
@STEPS
def test_posterior_moves_the_next_latent_as_dps_does(step, alpha):
    rule = Posterior(restoration(), Constant(0.3), "absolute")
    expected = Author(alpha, step, residual).dps(0.3)
    torch.testing.assert_close(moved(rule, alpha, step), expected, rtol=1e-10, atol=1e-10)
