"""The calibrated scale: at strength 1 a negative log-likelihood is sampled as its posterior."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bench.truth.__main__ import Likelihood, exact, sampled, wasserstein
from bench.truth.page import LIKELIHOOD
from guidance_core.captures import Attention
from guidance_core.compose import guided
from guidance_core.energies.masked import Masked
from guidance_core.energies.measurement import Measurement
from guidance_core.energies.scheduled import Scheduled
from guidance_core.energies.smoothed import Smoothed
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.image.degradations import Compose, GaussianBlur, Shrink
from guidance_core.rules.forward import Forward
from guidance_core.run import Run
from guidance_core.schedules import Constant
from guidance_core.trace import Trace
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, Model, assert_close, latent, levels, run_with, seeded, toward
from tests.ground_truth import flow, three_hills, ve

FAMILIES = pytest.mark.parametrize("alpha", [ve, flow])
TILT = Likelihood(torch.tensor([1.1, -0.2], dtype=DOUBLE))
SIZE = (3, 4, 6)  # of the images of a Gaussian prior
COUNT = SIZE[0] * SIZE[1] * SIZE[2]
BLURRED = Compose((GaussianBlur(0.5), Shrink(2, "box")))
NOISE = 0.3


def calibrated(energy, **options) -> Forward:
    return Forward(energy, Constant(), "calibrated", **options)


# A mixture in the plane, of which all is known.


def distances(energy, alpha, count: int = 300) -> tuple[float, float, float]:
    """To the posterior: of what is sampled by the rule, by absolute steps, and exactly."""
    mixture = three_hills(alpha)
    truth = mixture.tilted(TILT.y, LIKELIHOOD)
    posterior = exact(truth, count, torch.Generator().manual_seed(1))
    start = seeded(count, 2, seed=2)
    rules = [calibrated(energy)], [Forward(TILT, Constant(), "absolute")]
    ours, first = (sampled(mixture, rule, 25, start) for rule in rules)
    ends = ours, first, sampled(truth, [], 25, start)
    return tuple(wasserstein(end, posterior) for end in ends)


@FAMILIES
def test_draws_sample_the_posterior_nearly_as_the_exact_denoiser(alpha):
    ours, absolute, best = distances(TILT, alpha)
    assert ours < best + 0.05
    assert absolute > 0.35


@FAMILIES
def test_a_measurement_is_sampled_nearly_as_by_the_exact_denoiser(alpha):
    ours, _, best = distances(TILT.measurement, alpha)
    assert ours < best + 0.08


# A Gaussian prior of images, whose posterior mean is linear algebra.


class Gaussian:
    """Images N(0.5, cov) with neighbours alike; the exact denoiser."""

    def __init__(self, alpha) -> None:
        root = seeded(COUNT, COUNT, seed=8) / COUNT**0.5
        self.cov = root @ root.T + 0.05 * torch.eye(COUNT, dtype=DOUBLE)
        self.alpha = alpha

    def __call__(self, x: Tensor, sigma: Tensor) -> Estimate:
        a, s = float(self.alpha(sigma)[0]), float(sigma[0])
        total = a * a * self.cov + s * s * torch.eye(COUNT, dtype=DOUBLE)
        shift = torch.linalg.solve(total, (x.flatten(1) - a * 0.5).T).T
        x0 = 0.5 + a * shift @ self.cov
        return Estimate(x0.view_as(x), sigma, decode=lambda x0: x0)

    def posterior_mean(self, x, sigma: float, matrix, measured, noise2: Tensor) -> Tensor:
        """Of x0 given x and measured = matrix x0 + noise of variances noise2, by precisions."""
        a = float(self.alpha(levels(sigma, 1))[0])
        prior, eye = torch.linalg.inv(self.cov), torch.eye(COUNT, dtype=DOUBLE)
        precision = prior + a * a / sigma**2 * eye + matrix.T @ (matrix / noise2[:, None])
        told = prior @ torch.full((COUNT,), 0.5, dtype=DOUBLE)
        told = told + a / sigma**2 * x.flatten(1) + (measured / noise2) @ matrix
        return torch.linalg.solve(precision, told.T).T.view_as(x)


def matrix_of(operator) -> Tensor:
    basis = torch.eye(COUNT, dtype=DOUBLE).view(COUNT, *SIZE)
    return operator(basis).flatten(1).T


def step(energy, alpha, sigma=0.6, **options) -> tuple[Tensor, Tensor]:
    """A noisy batch, and where the rule takes its estimate."""
    x = seeded(2, *SIZE, seed=3)
    run = Run(alpha, torch.tensor([sigma, 0.0], dtype=DOUBLE))
    rule = calibrated(energy, **options)
    return x, guided([rule], Gaussian(alpha), run)(x, levels(sigma)).x0


@FAMILIES
@pytest.mark.parametrize("sigma", [0.1, 0.6, 0.9])
def test_a_measurement_of_a_gaussian_gives_the_exact_posterior_mean(alpha, sigma):
    measured = BLURRED(seeded(1, *SIZE, seed=4))
    x, x0 = step(Measurement(measured, BLURRED, NOISE), alpha, sigma, iterations=60)
    noise2 = torch.full((measured.numel(),), NOISE**2, dtype=DOUBLE)
    known = matrix_of(BLURRED), measured.flatten(), noise2
    truth = Gaussian(alpha).posterior_mean(x, sigma, *known)
    assert (x0 - truth).abs().max() < 1e-6
    plain = Gaussian(alpha)(x, levels(sigma)).x0
    assert (truth - plain).abs().max() > 1e-2


@FAMILIES
def test_three_iterations_are_most_of_the_way(alpha):
    energy = Measurement(BLURRED(seeded(1, *SIZE, seed=4)), BLURRED, NOISE)
    x, few = step(energy, alpha)
    _, many = step(energy, alpha, iterations=60)
    plain = Gaussian(alpha)(x, levels(0.6)).x0
    assert (few - many).norm() < 0.1 * (many - plain).norm()


@FAMILIES
def test_masks_and_weights_are_part_of_the_likelihood(alpha):
    """Half a weight is twice the variance; what a mask leaves out was not measured."""
    measured, mask = seeded(1, *SIZE, seed=4), torch.zeros(SIZE[1:], dtype=DOUBLE)
    mask[1:3, 1:5] = 1.0
    mask[2, 2] = 0.5
    energy = WeightedSum(((0.5, Masked(Measurement(measured, noise=NOISE), mask)),))
    x, x0 = step(energy, alpha, iterations=80)
    weights = 0.5 * mask.expand(SIZE).flatten()
    noise2 = NOISE**2 / weights.clamp_min(1e-12)
    known = torch.eye(COUNT, dtype=DOUBLE), measured.flatten(), noise2
    assert (x0 - Gaussian(alpha).posterior_mean(x, 0.6, *known)).abs().max() < 1e-6


def test_a_decoder_that_bends_is_followed_where_it_leads():
    """One step of Gauss and Newton: the residual falls as the linearised problem's does."""

    def bent(x, sigma):
        return replace(Gaussian(ve)(x, sigma), decode=lambda x0: x0 + 0.1 * x0.square())

    x, measured = seeded(2, *SIZE, seed=3), BLURRED(seeded(1, *SIZE, seed=4))
    energy, run = Measurement(measured, BLURRED, 0.01), run_with()
    before = energy(bent(x, levels(2.0)))
    after = energy(guided([calibrated(energy, iterations=20)], bent, run)(x, levels(2.0)))
    assert (after < 0.02 * before).all()


# Networks whose derivative is no covariance.


def test_it_stops_where_the_derivative_has_no_variance_and_there_alone():
    """|x| falls where x < 0: its derivative, -1, is no variance. What x > 0 says holds as alone."""

    def folded(x, sigma):
        return Estimate(x.abs(), sigma, decode=lambda x0: x0)

    x = seeded(2, *SIZE, seed=3).abs()
    x[0] = -x[0]
    energy, ends = Measurement(x[1:] + 0.5, noise=NOISE), {}
    for rows in (slice(0, 2), slice(1, 2)):
        count = len(x[rows])
        rule = guided([calibrated(energy)], folded, run_with())
        ends[count] = rule(x[rows], levels(1.0, count)).x0
    assert torch.equal(ends[2][0], x[0].abs())
    assert_close(ends[2][1:], ends[1])
    assert_close(ends[1], x[1:] + 0.5 / (1 + NOISE**2))


def test_a_step_that_would_raise_the_residual_ends_where_it_is_least():
    """A derivative that turns: of a variance of 0.02 only, but going sideways by far more."""
    turn = seeded(COUNT, COUNT, seed=9)
    matrix = 0.02 * torch.eye(COUNT, dtype=DOUBLE) + 0.1 * (turn - turn.T)

    def turning(x, sigma):
        return Estimate((x.flatten(1) @ matrix.T).view_as(x), sigma, decode=lambda x0: x0)

    x, measured = seeded(2, *SIZE, seed=3), seeded(1, *SIZE, seed=4)
    rule = calibrated(Measurement(measured, noise=0.01), iterations=1)
    before = turning(x, levels(1.0)).x0
    after = guided([rule], turning, run_with())(x, levels(1.0)).x0
    residual = (before - measured).flatten(1)
    way = residual @ matrix  # C A^T of the residual, sigma and alpha being 1
    least = (way * residual).sum(1) / way.square().sum(1)
    assert_close(after.flatten(1), before.flatten(1) - least[:, None] * way)


@FAMILIES
def test_a_step_is_at_most_two_standard_deviations(alpha):
    """A network that takes all of x for the image, measured far from where it is."""

    def sure(x, sigma):
        return Estimate(x, sigma, decode=lambda x0: x0)

    sigma = 0.6
    x, run = seeded(2, *SIZE, seed=3), Run(alpha, torch.tensor([sigma, 0.0], dtype=DOUBLE))
    energy = Measurement(torch.full((1, *SIZE), 100.0, dtype=DOUBLE), noise=NOISE)
    moved = guided([calibrated(energy)], sure, run)(x, levels(sigma)).x0 - x
    signal = float(alpha(levels(sigma))[0])
    std = sigma / (signal**2 + sigma**2) ** 0.5
    assert_close(moved.flatten(1).square().mean(1).sqrt(), levels(2 * std))


# Draws.


def test_the_step_is_the_slope_of_the_average_that_the_draws_make():
    """-log mean exp(-E), by finite differences through the model; sigma 1: 8 draws."""
    run = Run(torch.ones_like, torch.tensor([1.0, 0.0], dtype=DOUBLE), seed=3)
    model, energy, x = Model(cfg=False), toward(weight=0.01), latent(1)
    noise = [0.5**0.5 * run.noise(x, 1.0, draw) for draw in range(8)]

    def average(x: Tensor) -> Tensor:
        estimate = model(x, levels(1.0, 1))
        values = torch.stack([energy(estimate.moved(n)) for n in noise])
        return -(-values).exp().mean(0).log()

    way = seeded(*x.shape, seed=9)
    slope = (average(x + 1e-5 * way) - average(x - 1e-5 * way)) / 2e-5
    moved = guided([calibrated(energy)], model, run)(x, levels(1.0, 1)).x0
    delta = moved - model(x, levels(1.0, 1)).x0
    torch.testing.assert_close(-(delta * way).sum(), slope[0], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("sigma", "alpha", "rows"),
    [(20.0, ve, [4, 4, 4, 4]), (1.0, ve, [4, 4]), (0.15, ve, [1]), (0.5, flow, [4, 4])],
)
def test_there_are_fewer_draws_where_the_estimate_is_known(sigma, alpha, rows):
    """One sample's share batches; where there are none the energy is taken at the estimate."""
    seen = []

    def energy(estimate):
        seen.append(len(estimate.x0))
        return toward(weight=0.01)(estimate)

    run = Run(alpha, torch.tensor([sigma, 0.0], dtype=DOUBLE))
    guided([calibrated(energy)], Model(), run)(latent(1), levels(sigma, 1))
    assert seen == rows
    seen.clear()
    guided([calibrated(energy)], Model(), run)(latent(3), levels(sigma, 3))
    assert seen == [3] * max(1, sum(rows) if rows != [1] else 1)


def test_without_draws_it_is_the_absolute_scale():
    run = Run(torch.ones_like, torch.tensor([0.1, 0.0], dtype=DOUBLE))
    absolute = Forward(toward(), Constant(), "absolute")
    ends = [
        guided([r], Model(), run)(latent(), levels(0.1)).x0
        for r in (calibrated(toward()), absolute)
    ]
    assert torch.equal(*ends)


@pytest.mark.parametrize(
    "energy", [toward(weight=0.01), Measurement(seeded(1, 3, 20, 24).sigmoid())]
)
def test_sample_alone_equals_sample_in_batch(energy):
    x = latent(3)

    def end(rows: slice) -> Tensor:
        numbers = tuple(range(3)[rows])
        run = Run(torch.ones_like, torch.tensor([2.0, 0.0], dtype=DOUBLE), numbers=numbers)
        return guided([calibrated(energy)], Model(), run)(x[rows], levels(2.0, len(numbers))).x0

    for i in range(3):
        assert_close(end(slice(i, i + 1)), end(slice(0, 3))[i : i + 1])


def test_parts_of_a_sum_are_recorded_one_per_sample():
    trace, parts = Trace(), ((1.0, toward()), (0.5, toward(2.0)))
    run = run_with(trace)
    guided([calibrated(WeightedSum(parts))], Model(), run)(latent(1), levels(2.0, 1))
    assert all(len(term) == 1 for term in trace.rows[0]["terms"].values())
    assert len(trace.rows[0]["terms"]) == 2


class Maps:
    captures = frozenset({Attention()})


@pytest.mark.parametrize(
    ("energy", "words"),
    [
        (Maps(), "reads attention or features"),
        (Smoothed(Measurement(seeded(1, 3, 4, 4))), "give it a rule of its own"),
        (Scheduled(Measurement(seeded(1, 3, 4, 4)), Constant()), "give it a rule of its own"),
        (WeightedSum(((-1.0, Measurement(seeded(1, 3, 4, 4))),)), "with a positive weight"),
        (WeightedSum(((1.0, Measurement(seeded(1, 3, 4, 4))), (1.0, toward()))), "inside a sum"),
    ],
)
def test_what_cannot_be_averaged_is_refused(energy, words):
    with pytest.raises(ValueError, match=words):
        calibrated(energy)
    Forward(energy, Constant())


def test_needs_an_iteration():
    with pytest.raises(ValueError, match="iterations must be >= 1, got 0"):
        calibrated(toward(), iterations=0)
