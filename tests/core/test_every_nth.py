"""Rules that act at every n-th step: which steps those are, and what the others cost."""

from __future__ import annotations

import math

import pytest
import torch

from guidance_core.compose import any_active, guided, with_noise_levels
from guidance_core.procedures.recurrence import recurrent
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.latent_update import LatentUpdate
from guidance_core.rules.manifold import Manifold
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.unified import Unified
from guidance_core.run import Run
from guidance_core.schedules import Constant, EveryNth, PercentWindow, Scaled, Window
from tests.core.toys import DOUBLE, Model, latent, levels, toward
from tests.ground_truth import ve

SIGMAS = (10.0, 8.0, 6.0, 4.0, 2.0, 1.0)
RULES = {
    "forward": Forward,
    "backward": Backward,
    "manifold": Manifold,
    "posterior": Posterior,
    "unified": Unified,
    "latent update": LatentUpdate,
}


def linear(percent: float) -> float:
    return 10.0 * (1 - percent)


def known(schedule, every, sigmas=SIGMAS):
    return with_noise_levels(EveryNth(schedule, every), linear, sigmas)


def works(schedule, sigmas=SIGMAS):
    return [schedule(sigma) > 0 for sigma in sigmas]


@pytest.mark.parametrize(
    ("every", "expected"), [(1, "111111"), (2, "101010"), (3, "100100"), (9, "100000")]
)
def test_the_first_step_counts_and_every_nth_after_it(every, expected):
    assert works(known(Constant(), every)) == [step == "1" for step in expected]


def test_the_first_step_is_the_first_of_the_window():
    late = PercentWindow(0.3, 0.85)  # 7 down to 1.5
    assert works(known(late, 2)) == [False, False, True, False, True, False]
    assert works(known(late, 3)) == [False, False, True, False, False, False]
    rising = known(PercentWindow(0.2, 1.0, "linear_up"), 2)  # 0 at 8 itself
    assert works(rising) == [False, False, True, False, True, False]


def test_what_is_evaluated_within_a_step_belongs_to_it():
    schedule = known(Constant(0.5), 2)
    assert [schedule(s) for s in (9.0, 8.001, 7.9, 6.5, 5.0, 3.0)] == [0.5, 0.5, 0, 0, 0.5, 0]
    assert schedule(12.0) == 0.5


@pytest.mark.parametrize("error", [-1e-6, 1e-6])
def test_a_level_is_known_when_single_precision_rounded_it(error):
    schedule = known(Constant(), 2)
    assert works(schedule, [s * (1 + error) for s in SIGMAS]) == works(schedule)


def test_it_stands_inside_of_other_schedules_and_keeps_their_strength():
    rule = Forward(toward(), Scaled(EveryNth(PercentWindow(0.0, 1.0, "linear_down"), 2), 4.0))
    strength = with_noise_levels(rule, linear, SIGMAS).strength
    expected = [4.0, 0, 2.4, 0, 0.8, 0]
    assert [strength(s) for s in SIGMAS] == pytest.approx(expected, abs=0.07)


@pytest.mark.parametrize("make", RULES.values(), ids=RULES)
def test_the_steps_between_are_the_models_own_bit_for_bit(make):
    seen = []

    def energy(estimate):
        seen.append(float(estimate.sigma[0]))
        return toward()(estimate)

    rule = make(energy, known(Constant(0.5), 2))
    run = Run(ve, torch.tensor([*SIGMAS, 0.0], dtype=DOUBLE))
    for sigma, acts in zip(SIGMAS, [True, False] * 3, strict=True):
        model = Model()
        x0 = guided([rule], model, run)(latent(), levels(sigma)).x0
        same = torch.equal(x0, Model()(latent(), levels(sigma)).x0)
        assert (same, sigma in seen) == (not acts, acts)
        assert any_active([rule], sigma) == acts
        assert acts or model.calls == 1


def test_a_step_that_recurs_counts_once():
    seen = []

    def denoise(x, sigma):
        rule = Forward(lambda e: seen.append(float(sigma[0])) or toward()(e), known(Constant(), 3))
        run = Run(ve, torch.tensor([*SIGMAS, 0.0], dtype=DOUBLE))
        return guided([rule], Model(), run)(x, sigma)

    def euler(denoise, x, sigmas):
        for high, low in zip(sigmas[:-1], sigmas[1:], strict=True):
            x = x + (x - denoise(x, high.expand(len(x))).x0) / high * (low - high)
        return x

    noise = lambda like, step, repeat: torch.zeros_like(like)
    recurrent(euler, 2, ve, noise)(denoise, latent(), torch.tensor(SIGMAS, dtype=DOUBLE))
    assert seen == [10.0, 10.0, 4.0, 4.0]


def test_what_cannot_count_is_refused():
    with pytest.raises(ValueError, match="every must be >= 1, got 0"):
        EveryNth(Constant(), 0)
    with pytest.raises(TypeError, match=r"compose\.with_noise_levels"):
        EveryNth(Window(math.inf, 0.0), 2)(1.0)
