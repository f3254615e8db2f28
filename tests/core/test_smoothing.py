"""Energies averaged over noise around the estimate."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from guidance_core.captures import Attention
from guidance_core.compose import guided
from guidance_core.energies.masked import Masked
from guidance_core.energies.scheduled import Scheduled
from guidance_core.energies.smoothed import Smoothed
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.noise import seeded_noise
from guidance_core.requirements import is_active, requirements_of
from guidance_core.rules.forward import Forward
from guidance_core.run import Run
from guidance_core.schedules import Constant, Window
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, assert_close, decode, latent, levels, toward
from tests.ground_truth import flow

SLOPE = torch.tensor([0.7, -0.4, 0.2, 0.1], dtype=DOUBLE)


def at(sigma: float = 1.0, x0=None) -> Estimate:
    x0 = latent() if x0 is None else x0
    return Estimate(x0, levels(sigma, x0.shape[0]), decode)


def linear(estimate):
    return (estimate.x0 * SLOPE[:, None, None]).mean((2, 3)).sum(1)


def first_pixel(estimate):
    return estimate.x0[:, :, 0, 0] @ SLOPE


@pytest.mark.parametrize("sigma", [0.5, 4.0])
def test_of_a_linear_energy_is_closed_form(sigma):
    """-log E exp(-a.(x0 + s n)) = a.x0 - s^2 a^2 / 2."""
    smooth = Smoothed(first_pixel, gamma=1.0, samples=3000)
    square = sigma**2 / (1 + sigma**2)
    exact = first_pixel(at(sigma)) - 0.5 * square * SLOPE.square().sum()
    torch.testing.assert_close(smooth(at(sigma)), exact, rtol=0, atol=0.03)


def test_one_draw_is_the_energy_beside_the_estimate():
    noise = seeded_noise(latent(1), 7, 1.0, 0)
    beside = at(x0=latent() + 0.2 * math.sqrt(0.5) * noise)
    assert_close(Smoothed(toward(), 0.2, 1, seed=7)(at()), toward()(beside))


def test_zero_width_is_the_energy_itself_with_one_evaluation():
    calls = []

    def counted(estimate):
        calls.append(1)
        return toward()(estimate)

    assert torch.equal(Smoothed(counted, 0.0, 9)(at()), toward()(at()))
    assert len(calls) == 1


def test_draws_change_with_the_seed_and_the_noise_level():
    smooth = Smoothed(linear, 1.0, 2)
    assert not torch.equal(smooth(at()), replace(smooth, seed=1)(at()))
    wide, narrow = smooth(at(8.0)) - linear(at()), smooth(at(0.01)) - linear(at())
    assert (wide.abs() > narrow.abs()).all()


def test_works_inside_and_around_other_combinators():
    red = Smoothed(lambda e: e.image.mean((1, 2, 3)), 0.3, 2)
    summed = WeightedSum(((1.0, red), (2.0, Scheduled(red, Window(0.9, 0.1)))))
    assert_close(summed(at(0.5)), 3 * red(at(0.5)))
    assert not is_active(Smoothed(Scheduled(toward(), Window(0.9, 0.1))), 2.0)
    outer = Smoothed(summed, 0.3, 2)
    assert outer(at(0.5)).isfinite().all()


class Image:
    reads_image = True

    def __call__(self, estimate):
        return estimate.image.mean((1, 2, 3))


def test_under_a_mask_only_the_mask_is_pushed():
    mask = torch.zeros(20, 24)
    mask[4:12, 4:12] = 1
    energy = Masked(Smoothed(Image(), 0.3, 2), mask)
    assert requirements_of([energy]).reads_image
    x0 = latent().requires_grad_()
    estimate = at(x0=x0)
    (slope,) = torch.autograd.grad(energy(estimate).sum(), estimate.image)
    assert (slope[..., 13:, :] == 0).all()


class Maps:
    captures = frozenset({Attention()})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gamma": -1}, "gamma must be >= 0, got -1"),
        ({"samples": 0}, "samples must be >= 1, got 0"),
        ({"energy": Maps()}, "reads attention or features"),
    ],
)
def test_bad_arguments_are_refused_at_once(options, words):
    with pytest.raises(ValueError, match=words):
        Smoothed(**{"energy": toward(), **options})


def clean(x0):
    """A model that estimates x0 whatever it sees, with a graph."""
    return lambda x, sigma: Estimate(x0 + 0 * x, sigma, decode)


@pytest.mark.parametrize("sigma", [0.4, 0.7])
def test_is_as_wide_as_the_posterior_of_a_flow(sigma):
    """As above, with the s of x = (1 - sigma) x0 + sigma n."""
    records, smooth = [], Smoothed(first_pixel, gamma=1.0, samples=3000)
    run = Run(alpha=flow, sigmas=torch.tensor([sigma, 0.0], dtype=DOUBLE), record=records.append)
    guided([Forward(smooth, Constant())], clean(latent()), run)(latent(seed=1), levels(sigma))
    square = sigma**2 / ((1 - sigma) ** 2 + sigma**2)
    exact = first_pixel(at(sigma)) - 0.5 * square * SLOPE.square().sum()
    torch.testing.assert_close(records[0].energy, exact, rtol=0, atol=0.03)


def test_masks_of_samples_keep_the_signal_scale():
    """A mask for each sample evaluates row by row."""
    smooth, mask = Smoothed(Image(), 1.0, 4), torch.ones(2, 20, 24)
    estimate = replace(at(0.8), alpha=flow(levels(0.8)))
    assert_close(Masked(smooth, mask)(estimate), Masked(smooth, mask[0])(estimate))
