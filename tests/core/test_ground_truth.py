"""The ground truth is itself true, and forward guidance agrees with it to fourth order in sigma."""

from __future__ import annotations

import pytest
import torch

from guidance_core.compose import guided
from guidance_core.process import x0_from_score
from guidance_core.rules.forward import Forward
from guidance_core.run import Run
from guidance_core.schedules import Constant
from tests.core.toys import DOUBLE, assert_close, seeded
from tests.ground_truth import flow, single, three_hills, ve

Y, R2 = torch.tensor([0.5, 0.6], dtype=DOUBLE), 0.8
FAMILIES = pytest.mark.parametrize("alpha", [ve, flow])


def energy(estimate):
    return 0.5 * (estimate.x0 - Y).square().sum(1) / R2


def gap(sigma: float, alpha, believed_alpha) -> float:
    mixture = three_hills(alpha)
    level = torch.full((6,), sigma, dtype=DOUBLE)
    x = alpha(level)[:, None] * seeded(6, 2, seed=5)
    run = Run(believed_alpha, level[:1])
    guess = guided([Forward(energy, Constant(), "absolute")], mixture.denoise, run)(x, level).x0
    return float((guess - mixture.tilted(Y, R2).denoise(x, level).x0).norm())


def slope(alpha, believed_alpha) -> float:
    coarse, fine = (gap(sigma, alpha, believed_alpha) for sigma in (0.01, 0.005))
    return float(torch.log2(torch.tensor(coarse / fine)))


@FAMILIES
@pytest.mark.parametrize("sigma", [0.2, 0.7])
def test_mixture_obeys_tweedie(alpha, sigma):
    mixture, level = three_hills(alpha), torch.full((4,), sigma, dtype=DOUBLE)
    x = seeded(4, 2).requires_grad_()
    (score,) = torch.autograd.grad(mixture.log_density(x, level).sum(), x)
    assert_close(mixture.denoise(x, level).x0, x0_from_score(score, x, level, alpha(level)))


def test_tilted_mixture_is_prior_times_likelihood():
    mixture, none = three_hills(), torch.zeros(9, dtype=DOUBLE)
    x0 = seeded(9, 2)
    tilt = -0.5 * (x0 - Y).square().sum(1) / R2
    ratio = mixture.tilted(Y, R2).log_density(x0, none) - mixture.log_density(x0, none) - tilt
    assert_close(ratio, ratio[:1].expand(9))


@FAMILIES
def test_forward_is_fourth_order_accurate_in_sigma(alpha):
    assert slope(alpha, alpha) == pytest.approx(4, abs=0.15)


def test_sigma_squared_without_alpha_is_third_order_on_a_flow():
    assert slope(flow, ve) == pytest.approx(3, abs=0.15)


@FAMILIES
@pytest.mark.parametrize("strength", [0.3, 2.0])
def test_forward_on_a_gaussian_is_closed_form(alpha, strength):
    gaussian, level = single(alpha), torch.full((5,), 0.4, dtype=DOUBLE)
    x = seeded(5, 2)
    rule = Forward(energy, Constant(strength), "absolute")
    guess = guided([rule], gaussian.denoise, Run(alpha, level[:1]))(x, level).x0
    x0, a, sigma2 = gaussian.denoise(x, level).x0, float(alpha(level)[0]), 0.4**2
    slope_of_x0 = a * 0.6 / (a * a * 0.6 + sigma2)
    assert_close(guess, x0 - strength * sigma2 / a * slope_of_x0 * (x0 - Y) / R2)


def test_forward_bias_of_the_sampled_posterior_mean_stays_as_recorded():
    """DPS-like rules are biased: the number guards against change, it is not the truth."""
    mixture = three_hills()
    sigmas = torch.cat([torch.logspace(1, -2, 40, dtype=DOUBLE), torch.zeros(1, dtype=DOUBLE)])
    rule = Forward(energy, Constant(), "absolute")
    means = []
    for denoise in (
        guided([rule], mixture.denoise, Run(ve, sigmas)),
        mixture.tilted(Y, R2).denoise,
    ):
        x = seeded(4000, 2, seed=2) * sigmas[0]
        for high, low in zip(sigmas[:-1], sigmas[1:], strict=True):
            x0 = denoise(x, high.expand(4000)).x0
            x = x0 + low / high * (x - x0)
        means.append(x.mean(0))
    truth = mixture.tilted(Y, R2)
    exact = (truth.weights[:, None] * truth.means).sum(0)
    torch.testing.assert_close(means[1], exact, rtol=0, atol=0.05)
    torch.testing.assert_close(means[0], GOLDEN_MEAN, rtol=0, atol=0.01)


GOLDEN_MEAN = torch.tensor([0.3187, 0.4615], dtype=DOUBLE)
