"""The way up the noise levels, on mixtures of Gaussians whose denoiser is exact."""

from __future__ import annotations

import math

import pytest
import torch

from guidance_core.noise import mixed_seed
from guidance_core.procedures.inversion import Path, invert, psnr
from guidance_core.procedures.white_noise import (
    WhiteNoise,
    moment_divergence,
    self_correlation,
    whiteness,
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


@pytest.mark.parametrize(
    ("alpha", "levels"), [(ve, (3.0, 0.4)), (flow, (0.9, 0.4)), (flow, (0.7, 0.0))]
)
def test_the_way_up_begins_with_the_clean_part_at_the_next_level(alpha, levels):
    """What x_low = alpha_low x0 + noise says of x_high, its mean, is alpha_high x0 for no noise."""
    asked = []

    def denoise(x, sigma):
        asked.append((x, sigma))
        return Estimate(0.5 * x, sigma)

    sigmas = torch.tensor([levels[0], levels[1]], dtype=DOUBLE)
    high, low = alpha(sigmas)
    x0 = latent()
    invert(denoise, low * x0, sigmas, alpha)
    assert_close(asked[0][0], high * x0)
    assert_close(asked[0][1], sigmas[:1].expand(2))


@pytest.mark.parametrize("alpha", [ve, flow])
def test_each_further_step_begins_along_the_direction_of_the_one_before(alpha):
    asked = []

    def denoise(x, sigma):
        asked.append(x)
        return Estimate(0.5 * x + 1, sigma)

    sigmas = torch.tensor([0.8, 0.5, 0.2], dtype=DOUBLE)
    path = invert(denoise, latent(), sigmas, alpha)
    direction = (path.states[1] - path.states[2]) / 0.3
    assert_close(direction, (asked[0] - (0.5 * asked[0] + 1)) / 0.5)
    assert_close(asked[1], path.states[1] + 0.3 * direction)


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


def test_a_descent_is_the_papers_at_its_size_and_the_same_at_every_other():
    """Weight 20 for 4 x 64 x 64: moments of n values have slopes in 1 / n, correlations in pixels.

    Far from white the first descent of the moments is known: mean and variance in closed form.
    """
    for channels, side in ((4, 64), (2, 16)):
        flat = torch.full((1, channels, side, side), 0.5, dtype=DOUBLE)
        flat[..., ::2] = -0.3  # mean 0.1, variance 0.16
        settled = WhiteNoise(weight=20.0, steps=1, rolls=1)
        rate = 20 * flat.numel() / (4 * 64 * 64)
        correlated = flat.clone().requires_grad_()
        generator = torch.Generator().manual_seed(mixed_seed(0, 3))
        (slope,) = torch.autograd.grad(self_correlation(correlated, generator).sum(), correlated)
        near = flat - 20 * side * side / (64 * 64) * slope
        mean, var, count = near.mean(), near.var(correction=0), near.numel()
        push = 2 * mean + 2 * (near - mean) * (1 - 1 / (var + 1e-7))
        assert_close(settled(flat, 3), near - rate * push / count)


def test_shifts_of_a_correlation_are_the_same_for_every_sample_and_follow_seed_and_step():
    noise = seeded(2, 4, 16, 16)
    white = WhiteNoise(steps=1)
    assert_close(white(noise, 2)[1:], white(noise[1:], 2))
    assert not torch.equal(white(noise, 2), white(noise, 3))
    assert not torch.equal(white(noise, 2), WhiteNoise(steps=1, seed=1)(noise, 2))


def test_correlations_are_taken_on_halved_images_down_to_eight_cells():
    """A pattern that the mean of 2 x 2 cells erases correlates at the first size only."""
    checks = torch.ones(1, 1, 32, 32, dtype=DOUBLE)
    checks[..., ::2] = -1
    fine = self_correlation(checks, torch.Generator())
    assert_close(fine[0], torch.tensor(2.0, dtype=DOUBLE))  # (+-1)^2 across, 1 down
    blocks = checks.repeat_interleave(2, -1)[..., :32]
    # Across, a stripe two cells wide correlates by 0 or +-1 as its shift is odd or even.
    whole = float(self_correlation(blocks, torch.Generator().manual_seed(1)))
    assert whole in (3.0, 4.0)


@pytest.mark.parametrize("axis", [2, 3])
def test_shifts_are_from_one_to_half_the_height(axis):
    """Two dots at a distance meet at that shift alone; one dot never meets itself."""

    def correlated(noise):
        draws = [torch.Generator().manual_seed(k) for k in range(40)]
        return [float(self_correlation(noise, draw)) > 0 for draw in draws]

    dot = torch.zeros(1, 1, 8, 8, dtype=DOUBLE)
    dot[..., 0, 0] = 1
    assert not any(correlated(dot))
    met = [correlated(dot + dot.roll(distance, axis)) for distance in (1, 2, 3, 4)]
    assert [sum(draw) for draw in zip(*met, strict=True)] == [1] * 40
    assert all(map(any, met))


@pytest.mark.parametrize("shape", [(4, 16, 16), (2, 3, 8, 24), (1, 10, 8), (3, 32, 16)])
def test_the_whiteness_of_white_noise_is_one_and_none(shape):
    times, divergence = whiteness(torch.randn(3000, *shape, generator=torch.Generator())).T
    assert float(times.mean()) == pytest.approx(1, abs=0.04)
    assert float(divergence.mean()) == pytest.approx(1.5 / math.prod(shape), rel=0.4)


def test_whiteness_tells_coloured_noise_from_weak_and_from_strong():
    white = seeded(2, 4, 32, 32)
    times = whiteness(white)[:, 0]
    weak, far = whiteness(0.1 * white).T
    assert_close(weak, times)
    assert (far > 3).all()
    smooth = torch.nn.functional.avg_pool2d(white, 3, 1, 1)
    assert (whiteness(smooth)[:, 0] > 5 * times).all()
    # All one value: every product is 1 at every shift, of two axes, of sizes 32, 16 and 8.
    per_channel = 1 / 1024 * (1 + 1 / 16) + 1 / 256 / 16 * (1 + 1 / 8) + 1 / 64 / 256 * (1 + 1 / 4)
    flat = whiteness(torch.full((1, 4, 32, 32), 7.0, dtype=DOUBLE))[0, 0]
    assert_close(flat, torch.tensor(3 / per_channel, dtype=DOUBLE))


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
