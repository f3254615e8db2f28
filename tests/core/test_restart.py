"""Restart: what is not reached is noised up and sampled again, and the better kept."""

from __future__ import annotations

import math

import pytest
import torch

from guidance_core.procedures.restart import Restarting, Standing
from guidance_core.trace import Record
from tests.core.toys import DOUBLE, seeded
from tests.ground_truth import flow, single, ve

SIGMAS = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.0], dtype=DOUBLE)
MIDDLE = (2.0, 1.0)  # levels whose steps are gone through again
VARIANCE = 0.6


def record(energy, sigma=1.0, reached=0.0, **counts):
    energy = torch.as_tensor(energy, dtype=DOUBLE)
    limits = {} if reached is None else {"asked": reached}
    zero = torch.zeros_like(energy)
    return Record("Rule", sigma, energy, zero, zero, None, {"asked": energy}, counts, None, limits)


def noise(like, turn):
    return seeded(*like.shape, seed=turn)


class Plan:
    """A sampler that adds 1, remembers how it was called, and ends with energies that are given."""

    def __init__(self, *energies, **options):
        self.standing, self.energies, self.options = Standing(), list(energies), options
        self.calls = []

    def __call__(self, denoise, x, sigmas, /, turn, **options):
        self.calls.append((turn, sigmas.tolist()))
        if self.energies:
            self.standing(record(self.energies.pop(0), float(sigmas[-2]), **self.options))
        return x + 1


def restarted(plan, tries, x, inside=lambda sigma: sigma in MIDDLE):
    return Restarting(plan, tries, ve, noise, plan.standing, inside)(None, x, SIGMAS)


def test_levels_are_gone_through_until_every_sample_is_reached():
    plan = Plan([2.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 0.0])
    restarted(plan, 9, seeded(2, 4, 3, 3))
    again = SIGMAS.tolist()[1:4]
    assert plan.calls == [(0, SIGMAS.tolist()[:4]), (1, again), (2, again), (9, [0.5, 0.0])]


def test_each_sample_keeps_its_best_pass():
    plan, x = Plan([2.0, 0.0, 2.0], [3.0, -1.0, 1.0], [2.5, -1.0, 1.5]), seeded(3, 4, 3, 3)
    found = restarted(plan, 3, x)
    spread = math.sqrt(2**2 - 0.5**2)
    third = x[2] + 1 + spread * noise(x, 1)[2] + 1
    torch.testing.assert_close(found, torch.stack([x[0] + 1, x[1] + 1, third]) + 1)


def test_a_sample_alone_is_as_in_its_batch():
    x = seeded(2, 4, 3, 3)
    both = restarted(Plan([2.0, 2.0], [1.0, 3.0], [0.0, 1.0]), 3, x)
    first = Restarting(
        (plan := Plan([2.0], [1.0], [0.0])),
        3,
        ve,
        lambda like, turn: noise(x, turn)[:1],
        plan.standing,
        lambda sigma: sigma in MIDDLE,
    )
    torch.testing.assert_close(first(None, x[:1], SIGMAS), both[:1], rtol=0, atol=0)


@pytest.mark.parametrize("options", [{}, {"reached": None}])
def test_without_a_step_inside_or_with_one_try_the_sampler_runs_once(options):
    x = seeded(1, 4, 3, 3)
    for tries, inside in ((1, lambda sigma: True), (3, lambda sigma: False)):
        plan = Plan([2.0], **options)
        assert torch.equal(restarted(plan, tries, x, inside), x + 1)
        assert plan.calls == [(0, SIGMAS.tolist())]


def test_without_a_rule_nothing_is_repeated():
    plan = Plan()
    restarted(plan, 3, seeded(1, 4, 3, 3))
    assert [turn for turn, _ in plan.calls] == [0, 3]


def test_an_energy_that_is_never_reached_takes_every_try():
    plan = Plan([0.0], [0.0], [0.0], reached=None)
    restarted(plan, 3, seeded(1, 4, 3, 3))
    assert [turn for turn, _ in plan.calls] == [0, 1, 2, 3]


def test_levels_down_to_the_end_have_nothing_after_them():
    plan = Plan([1.0], [0.0])
    restarted(plan, 5, seeded(1, 4, 3, 3), lambda sigma: sigma < 3)
    assert plan.calls == [(0, SIGMAS.tolist()), (1, SIGMAS.tolist()[1:])]


def test_an_image_without_what_the_energy_looks_at_is_no_success():
    plan = Plan([0.0], [0.0], Face=1)
    restarted(plan, 2, seeded(1, 4, 3, 3))
    assert [turn for turn, _ in plan.calls] == [0, 1, 2]


def test_rules_of_the_last_noise_level_count_together():
    standing = Standing()
    for entry in (record([9.0], 2.0), record([1.0]), record([0.5], reached=1.0)):
        standing(entry)
    found = standing.at(seeded(1, 4, 3, 3))
    assert found.energy.tolist() == [1.5]
    assert found.reached.tolist() == [False]


@pytest.mark.parametrize("tries", [2, 4])
def test_from_pure_noise_it_is_as_many_draws_as_tries(tries):
    """A flow of one Gaussian, exactly: restarted at 1, each pass is a fresh sample.

    Reached is x >= t in the first axis, which a draw is with probability p: 1 - (1 - p)^tries are
    in the end, and those are distributed as draws above t.
    """
    count, mean, bound = 20_000, single(flow).means, 0.5
    spread = lambda sigma: (flow(sigma) ** 2 * VARIANCE + sigma**2).sqrt()
    standing = Standing()

    def exact(denoise, x, sigmas, /, turn):
        high, low = sigmas[:1], sigmas[-1:]
        x = flow(low) * mean + (x - flow(high) * mean) * spread(low) / spread(high)
        standing(record((mean[0, 0] + bound - x[:, 0]).relu()))
        return x

    sigmas = torch.linspace(1, 0, 6, dtype=DOUBLE)
    x = seeded(count, 2, seed=9)
    x0 = Restarting(exact, tries, flow, noise, standing, lambda sigma: True)(None, x, sigmas)
    normal = torch.distributions.Normal(0.0, 1.0)
    cut = torch.tensor(bound / VARIANCE**0.5, dtype=DOUBLE)
    p = float(1 - normal.cdf(cut))
    above = x0[:, 0] >= mean[0, 0] + bound
    assert float(above.double().mean()) == pytest.approx(1 - (1 - p) ** tries, abs=0.012)
    expected = float(mean[0, 0] + VARIANCE**0.5 * normal.log_prob(cut).exp() / p)
    assert float(x0[above, 0].mean()) == pytest.approx(expected, abs=0.02)
    torch.testing.assert_close(x0[:, 1].mean(), mean[0, 1], rtol=0, atol=0.02)


def test_fewer_than_one_try_is_refused():
    with pytest.raises(ValueError, match="tries must be >= 1, got 0"):
        restarted(Plan(), 0, seeded(1, 4, 3, 3))
