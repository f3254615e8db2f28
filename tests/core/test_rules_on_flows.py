"""Sizes of steps where the signal fades, alpha = 1 - sigma, and where alpha is 1: closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from guidance_core.compose import guided
from guidance_core.noise import seeded_noise
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.latent_update import LatentUpdate
from guidance_core.rules.manifold import Manifold
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.unified import Unified
from guidance_core.run import Run
from guidance_core.schedules import Constant
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, Model, assert_close, latent, levels, toward
from tests.ground_truth import flow, ve

FAMILIES = pytest.mark.parametrize(
    ("alpha", "sigmas"),
    [(ve, (5.0, 2.0, 0.5, 0.0)), (flow, (0.99, 0.7, 0.3, 0.0)), (flow, (1.0, 0.98, 0.97, 0.0))],
)


def moved(rule, alpha, sigmas, sigma) -> Tensor:
    """Change of x0 by a rule."""
    run = Run(alpha, torch.tensor(sigmas, dtype=DOUBLE), seed=3)
    return guided([rule], Model(), run)(latent(), levels(sigma)).x0 - plain(sigma).x0


def plain(sigma: float) -> Estimate:
    return Model()(latent(), levels(sigma))


def size(values: Tensor) -> Tensor:
    return values.flatten(1).square().mean(1).sqrt()


def slopes(sigma: float) -> tuple[Tensor, Tensor]:
    """Gradients of `toward()` with respect to x and x0."""
    x = latent().requires_grad_()
    estimate = Model()(x, levels(sigma))
    (through,) = torch.autograd.grad(toward()(estimate).sum(), x)
    return through, (estimate.x0 - 0.5).detach()


RELATIVE = {
    "forward": Forward(toward(), Constant(0.4)),
    "posterior": Posterior(toward(), Constant(0.4)),
    "manifold": Manifold(toward(), Constant(0.4)),
    "backward": Backward(toward(), Constant(0.4), steps=1, optimiser="gd"),
    "through the model": Unified(toward(), Constant(0.8), rho=0.5, mu=0.0),
    "at the estimate": Unified(toward(), Constant(0.8), rho=0.0, mu=0.5, iterations=1),
}


@FAMILIES
@pytest.mark.parametrize("rule", RELATIVE.values(), ids=RELATIVE.keys())
def test_a_relative_step_is_sized_by_the_posteriors_width(rule, alpha, sigmas):
    for sigma in sigmas[:-1]:
        a = float(alpha(levels(sigma))[0])
        width = math.sqrt(sigma**2 / (a**2 + sigma**2))
        assert_close(
            size(moved(rule, alpha, sigmas, sigma)), torch.full((2,), 0.4 * width, dtype=DOUBLE)
        )


@FAMILIES
def test_forwards_absolute_shift_is_capped_where_a_flow_has_no_signal(alpha, sigmas):
    """sigma^2 / alpha, with alpha of 0.05 at least: 20 sigma^2 at most."""
    rule = Forward(toward(), Constant(0.3), "absolute")
    for sigma in sigmas[:-1]:
        factor = min(sigma**2 / max(float(alpha(levels(sigma))[0]), 1e-9), 20 * sigma**2)
        assert_close(moved(rule, alpha, sigmas, sigma), -0.3 * factor * slopes(sigma)[0])


@FAMILIES
def test_tfgs_absolute_step_is_capped_where_a_flow_has_no_signal(alpha, sigmas):
    """rho r^2 alpha_next / alpha by Euler's step, with alpha of 0.05 at least."""
    rule = Unified(toward(), Constant(0.3), "absolute", rho=1.0, mu=0.0)
    for sigma, following in zip(sigmas[:-1], sigmas[1:], strict=True):
        a, b = (float(alpha(levels(level))[0]) for level in (sigma, following))
        factor = (a**2 + sigma**2) * b * min(1 / max(a, 1e-9), 20)
        carried = 1 - following / sigma
        assert_close(moved(rule, alpha, sigmas, sigma), -0.3 * factor / carried * slopes(sigma)[0])


@FAMILIES
def test_smoothing_draws_as_wide_as_the_posterior(alpha, sigmas):
    seen = []

    def energy(estimate):
        seen.append(estimate.x0.detach())
        return toward()(estimate)

    sigma = sigmas[1]
    width = math.sqrt(sigma**2 / (float(alpha(levels(sigma))[0]) ** 2 + sigma**2))
    rule = Unified(energy, Constant(0.1), rho=0.0, mu=1.0, gamma=0.3, samples=2, iterations=1)
    moved(rule, alpha, sigmas, sigma)
    for draw in (0, 1):
        noise = seeded_noise(latent(1), 3, sigma, draw)
        assert_close(seen[draw] - plain(sigma).x0, (0.3 * width * noise).expand(2, -1, -1, -1))


@FAMILIES
def test_polyaks_relative_steps_stop_at_the_posteriors_width(alpha, sigmas):
    sigma = sigmas[1]
    width = math.sqrt(sigma**2 / (float(alpha(levels(sigma))[0]) ** 2 + sigma**2))
    far = Backward(toward(50.0), Constant(0.4), optimiser="polyak", steps=3)
    assert_close(
        size(moved(far, alpha, sigmas, sigma)), torch.full((2,), 0.4 * width, dtype=DOUBLE)
    )


@pytest.mark.parametrize("optimiser", ["adam", "gd", "polyak"])
def test_a_fading_step_of_backward_is_the_fraction_of_each_samples_own(optimiser):
    """One step from energies between stop and 2 stop."""
    energies = toward()(plain(0.7))
    stop = float(energies.min()) / 1.5
    rule = Backward(toward(), Constant(1.0), "absolute", 1, optimiser, lr=0.01)
    whole = moved(rule, flow, (0.9, 0.7, 0.0), 0.7)
    fading = Backward(toward(), Constant(1.0), "absolute", 1, optimiser, 0.01, stop)
    fraction = (energies / stop - 1).clamp(0, 1).view(2, 1, 1, 1)
    assert 0 < float(fraction.min()) < 1
    assert_close(moved(fading, flow, (0.9, 0.7, 0.0), 0.7), fraction * whole)


@pytest.mark.parametrize("share", [None, lambda sigma, following: 0.4])
def test_what_a_latent_step_leaves_behind_is_added_by_the_samplers_share(share):
    """(1 - s) d / s of x0 stands for a change d of x; without a share it is Euler's."""
    seen = []

    def model(x, sigma):
        seen.append(x.detach())
        return Model()(x, sigma)

    run = Run(flow, torch.tensor([0.9, 0.6, 0.0], dtype=DOUBLE), share=share)
    rule = LatentUpdate(toward(), Constant(0.5))
    x0 = guided([rule], model, run)(latent(), levels(0.9)).x0
    carried = 1 - 0.6 / 0.9 if share is None else 0.4
    step = seen[1] - seen[0]
    assert_close(x0, Model()(seen[1], levels(0.9)).x0 + step * (1 - carried) / carried)
