"""The way up the noise levels, on mixtures of Gaussians whose denoiser is exact."""

from __future__ import annotations

import pytest
import torch

from guidance_core.procedures.inversion import (
    Path,
    WhiteNoise,
    invert,
    moment_divergence,
    psnr,
    self_correlation,
)
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, Model, assert_close, latent, seeded
from tests.ground_truth import flow, single, three_hills, ve


def sigmas_of(alpha, steps):
    top, low = (1.0, 0.0) if alpha is flow else (10.0, 0.05)
    if alpha is flow:
        return torch.linspace(top, low, steps + 1, dtype=DOUBLE)
    levels = torch.logspace(1, -1.3, steps, dtype=DOUBLE)
    return torch.cat([levels, torch.zeros(1, dtype=DOUBLE)])


def euler(denoise, x, sigmas):
    states = [x]
    for high, low in zip(sigmas[:-1], sigmas[1:], strict=True):
        x0 = denoise(x, high.expand(len(x))).x0
        x = x + (low - high) / high * (x - x0)
        states.append(x)
    return torch.stack(states)


def round_trip(alpha, steps, iterations):
    """Largest distance of the repainted points from the points, and from the path on the way."""
    mixture, sigmas = three_hills(alpha), sigmas_of(alpha, steps)
    # Points that the sampler can reach: it ends at the estimate of its last noise level.
    start = seeded(16, 2, seed=1) * float(sigmas[0])
    x = euler(mixture.denoise, start, sigmas)[-1]
    path = invert(mixture.denoise, x, sigmas, alpha, iterations=iterations)
    down = euler(mixture.denoise, path.states[0], sigmas)
    return float((down[-1] - x).norm(dim=1).mean()), float((down - path.states).norm(dim=2).mean())


@pytest.mark.parametrize("alpha", [ve, flow])
def test_round_trip_error_falls_with_steps(alpha):
    errors = [round_trip(alpha, steps, 1)[0] for steps in (10, 40, 160)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


@pytest.mark.parametrize("alpha", [ve, flow])
def test_round_trip_error_falls_with_iterations_to_nothing(alpha):
    errors = [round_trip(alpha, 40, iterations) for iterations in (1, 3, 60)]
    for kind in (0, 1):
        assert errors[0][kind] > 3 * errors[1][kind]
    assert errors[2][0] < 1e-4
    assert errors[2][1] < 1e-4


@pytest.mark.parametrize("alpha", [ve, flow])
def test_one_step_of_a_gaussian_is_the_solution_of_its_equation(alpha):
    """D = m + gain (x - alpha m) is linear: the fixed point has a closed form."""
    mixture, sigmas = single(alpha), torch.tensor([0.6, 0.4], dtype=DOUBLE)
    x, mean, var = seeded(3, 2), mixture.means[0], 0.6
    a = float(alpha(sigmas[0]))
    gain = a * var / (a * a * var + 0.36)
    # x' = x + r (x' - m - gain (x' - a m)), with r = (0.6 - 0.4) / 0.6
    r = 0.2 / 0.6
    expected = (x - r * (1 - gain * a) * mean) / (1 - r * (1 - gain))
    path = invert(mixture.denoise, x, sigmas, alpha, iterations=60)
    assert_close(path.states[0], expected)
    assert_close(path.states[1], x)


@pytest.mark.parametrize("alpha", [ve, flow])
def test_inversion_of_a_sample_alone_is_that_of_its_batch(alpha):
    model, sigmas, x = Model(), sigmas_of(alpha, 3), latent(3)
    settle = WhiteNoise(steps=1, rolls=2)
    options = {"iterations": 2, "settle": settle}
    together = invert(model, x, sigmas, alpha, **options).states
    alone = invert(model, x[1:2], sigmas, alpha, **options).states
    assert_close(together[:, 1:2], alone)


def test_evaluations_and_reports_are_counted():
    model, reports = Model(), []
    note = lambda step, x0, x: reports.append(step)
    invert(model, latent(), sigmas_of(ve, 5), ve, iterations=3, report=note)
    assert model.calls == 15
    assert reports == [0, 1, 2, 3, 4]


def test_predicted_noise_is_settled_and_the_estimate_kept():
    """With a settled noise n the step is high x0-part + n: closed form for both families."""
    sigmas = torch.tensor([0.5, 0.2], dtype=DOUBLE)
    n = seeded(2, 4, 5, 6, seed=3)
    for alpha in (ve, flow):
        seen = []

        def denoise(x, sigma, seen=seen):
            seen.append(x)
            return Estimate(torch.full_like(x, 0.25), sigma)

        path = invert(denoise, latent(), sigmas, alpha, settle=lambda noise, step: n)
        a = alpha(sigmas[0])
        noise = (seen[0] - a * 0.25) / 0.5
        expected = latent() + 0.3 * ((seen[0] - 0.25) / 0.5 + n - noise)
        assert_close(path.states[0], expected)


def test_white_noise_loses_its_correlation_and_takes_unit_moments():
    smooth = torch.nn.functional.avg_pool2d(seeded(2, 4, 33, 33), 2, 1) * 3 + 0.5
    white = WhiteNoise(seed=1)(smooth, 0)
    draw = lambda noise: self_correlation(noise, torch.Generator().manual_seed(5))
    assert (draw(white) < 0.9 * draw(smooth)).all()
    assert (moment_divergence(white) < 0.95 * moment_divergence(smooth)).all()


def test_white_noise_is_hardly_changed():
    noise = seeded(1, 4, 32, 32)
    assert (WhiteNoise()(noise, 0) - noise).square().mean() < 0.01


def test_divergence_of_moments_has_its_closed_form():
    noise = torch.tensor([[[[1.0, 3.0], [1.0, 3.0]]]], dtype=DOUBLE)
    expected = 1 + 4 - 1 - torch.tensor(1 + 1e-7, dtype=DOUBLE).log()
    assert_close(moment_divergence(noise)[0], expected)


def test_self_correlation_of_a_constant_is_its_fourth_power():
    """Two sizes, 16 and 8, two axes, three channels: (2 * 2) * 2 * 2 * 3 of a constant 2."""
    constant = torch.full((1, 3, 16, 16), 2.0, dtype=DOUBLE)
    total = self_correlation(constant, torch.Generator().manual_seed(0))
    assert_close(total[0], torch.tensor(2.0**4 * 2 * 2 * 3, dtype=DOUBLE))


def test_psnr_of_a_constant_error():
    image = torch.full((2, 3, 4, 4), 0.5)
    assert psnr(image, image + torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)).tolist() == (
        pytest.approx([20, 40], abs=0.01)
    )


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="iterations must be >= 1, got 0"):
        invert(Model(), latent(), sigmas_of(ve, 2), ve, iterations=0)
    with pytest.raises(ValueError, match="falling"):
        Path(torch.tensor([0.0, 1.0]), latent())
    with pytest.raises(ValueError, match="expected 3 states"):
        Path(torch.tensor([1.0, 0.5, 0.0]), latent())
    with pytest.raises(ValueError, match="weight must be > 0"):
        WhiteNoise(0)
    with pytest.raises(ValueError, match="steps and rolls"):
        WhiteNoise(rolls=0)
