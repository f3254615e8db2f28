"""Self-recurrence around any sampler."""

from __future__ import annotations

import pytest
import torch

from guidance_core.procedures.recurrence import recurrent
from tests.core.toys import DOUBLE, Model, latent, seeded
from tests.ground_truth import flow, single, ve

SIGMAS = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.0], dtype=DOUBLE)


class Euler:
    """A sampler that remembers how it was called."""

    def __init__(self) -> None:
        self.spans: list[list[float]] = []

    def __call__(self, denoise, x, sigmas, /, **options):
        self.spans.append(sigmas.tolist())
        for high, low in zip(sigmas[:-1], sigmas[1:], strict=True):
            x0 = denoise(x, high.expand(x.shape[0])).x0
            x = x0 + low / high * (x - x0)
        return x


def noise(like, step, repeat):
    return seeded(*like.shape, seed=100 * step + repeat)


def test_one_repeat_is_the_sampler_itself():
    euler = Euler()
    assert recurrent(euler, 1, ve, noise) is euler


def test_each_step_is_repeated():
    euler = Euler()
    recurrent(euler, 3, ve, noise)(Model(), latent(), SIGMAS)
    assert [tuple(span) for span in euler.spans[::3]] == [(4, 2), (2, 1), (1, 0.5), (0.5, 0)]
    assert len(euler.spans) == 12


def test_steps_outside_are_one_call_and_bit_identical():
    euler, expected = Euler(), Euler()(Model(), latent(), SIGMAS)
    x = recurrent(euler, 2, ve, noise, lambda sigma: False)(Model(), latent(), SIGMAS)
    assert torch.equal(x, expected)
    assert euler.spans == [SIGMAS.tolist()]


def test_a_window_in_the_middle_leaves_the_ends_in_one_piece():
    euler = Euler()
    recurrent(euler, 2, ve, noise, lambda sigma: sigma == 2)(Model(), latent(), SIGMAS)
    assert euler.spans == [[4, 2], [2, 1], [2, 1], [1, 0.5, 0]]


def test_options_reach_the_sampler_and_every_draw_is_its_own():
    draws, seen = [], []

    def sampler(denoise, x, sigmas, /, **options):
        seen.append(options)
        return x

    def draw(like, step, repeat):
        draws.append((step, repeat))
        return torch.zeros_like(like)

    recurrent(sampler, 3, ve, draw)(None, latent(), SIGMAS, disable=True)
    assert seen == [{"disable": True}] * 12
    assert len(set(draws)) == 8


@pytest.mark.parametrize(("alpha", "top"), [(ve, 8.0), (flow, 1.0)])
def test_recurrence_keeps_the_distribution_of_an_exact_sampler(alpha, top):
    """On one Gaussian the probability flow between two noise levels is a shift and a scale."""
    n, mean, variance = 20_000, single(alpha).means, 0.6

    def spread(sigma):
        return (alpha(sigma) ** 2 * variance + sigma**2).sqrt()

    def exact(denoise, x, sigmas, /, **options):
        high, low = sigmas[:1], sigmas[-1:]
        return alpha(low) * mean + (x - alpha(high) * mean) * spread(low) / spread(high)

    sigmas = top * torch.linspace(1, 0, 6, dtype=DOUBLE)
    x = alpha(sigmas[:1]) * mean + spread(sigmas[:1]) * seeded(n, 2, seed=9)
    x0 = recurrent(exact, 3, alpha, noise)(None, x, sigmas)
    torch.testing.assert_close(x0.mean(0), mean[0], rtol=0, atol=0.02)
    torch.testing.assert_close(x0.var(0), torch.full((2,), variance).double(), rtol=0.04, atol=0)


def test_fewer_than_one_repeat_is_refused():
    with pytest.raises(ValueError, match="repeats must be >= 1, got 0"):
        recurrent(Euler(), 0, ve, noise)
