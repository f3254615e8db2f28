"""The rule that moves the noisy latent before the model's step."""

from __future__ import annotations

import copy
import math
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from guidance_core.compose import guided, with_noise_levels
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.process import per_sample
from guidance_core.rules.forward import Forward
from guidance_core.rules.latent_update import LatentUpdate
from guidance_core.schedules import Constant, PercentThresholds, Thresholds, Window
from guidance_core.shaping import rms
from guidance_core.trace import Trace
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, Model, assert_close, latent, levels, run_with, seeded, toward
from tests.ground_truth import flow

CASES = {
    "relative": LatentUpdate(toward(), Constant(0.15)),
    "absolute": LatentUpdate(toward(), Constant(0.05), "absolute"),
    "refined": LatentUpdate(toward(), Constant(0.1), iterations=3),
}
EACH = pytest.mark.parametrize("rule", CASES.values(), ids=CASES.keys())
KINDS = pytest.mark.parametrize(
    ("alpha", "sigmas"), [(torch.ones_like, (4.0, 2.0, 1.0, 0.0)), (flow, (0.9, 0.6, 0.3, 0.0))]
)


def seen_by(x, sigma=2.0):
    return Model()(x, levels(sigma, x.shape[0]))


def steered(rule, x=None, sigma=2.0, model=None, record=None, alpha=torch.ones_like, sigmas=None):
    x = latent() if x is None else x
    run = run_with(record, alpha, sigmas or (4.0, 2.0, 1.0, 0.0))
    return guided([rule], model or Model(), run)(x, levels(sigma, x.shape[0])).x0


def euler(x, x0, sigma, following, alpha):
    a, b = (alpha(levels(level, x.shape[0])) for level in (sigma, following))
    noise = (x - per_sample(a, x) * x0) / sigma
    return per_sample(b, x) * x0 + following * noise


def expected_step(x, sigma, alpha):
    """The absolute step of strength 0.05, written out."""
    tracked = x.clone().requires_grad_()
    energy = toward()(Model()(tracked, levels(sigma, x.shape[0])))
    (grad,) = torch.autograd.grad(energy.sum(), tracked)
    scale = alpha(levels(sigma, x.shape[0])) ** 2 + sigma**2
    return -0.05 * per_sample(scale, x) * grad


@KINDS
def test_eulers_next_step_is_that_from_the_moved_latent(alpha, sigmas):
    x, sigma, following = latent(), sigmas[1], sigmas[2]
    moved = x + expected_step(x, sigma, alpha)
    wanted = euler(moved, seen_by(moved, sigma).x0, sigma, following, alpha)
    x0 = steered(CASES["absolute"], x, sigma, alpha=alpha, sigmas=sigmas)
    assert_close(euler(x, x0, sigma, following, alpha), wanted)


def test_at_the_last_level_the_estimate_is_that_of_the_moved_latent():
    moved = latent() + expected_step(latent(), 1.0, torch.ones_like)
    assert_close(steered(CASES["absolute"], sigma=1.0), seen_by(moved, 1.0).x0)


def move(rule, sigma, alpha, sigmas):
    """RMS (B,) of the change of x between the first and the last time that the model sees it."""
    seen = []

    def model(x, sigma):
        seen.append(x.detach())
        return Model()(x, sigma)

    steered(rule, sigma=sigma, model=model, alpha=alpha, sigmas=sigmas)
    return rms(seen[-1] - seen[0])


@KINDS
def test_relative_steps_turn_with_the_angle_of_the_noise(alpha, sigmas):
    sigma, following = sigmas[1:3]
    a, b = (float(alpha(levels(level))[0]) for level in (sigma, following))
    turn = math.atan2(sigma, a) - math.atan2(following, b)
    wanted = levels(4 * 0.15 * turn * math.hypot(a, sigma))
    assert_close(move(CASES["relative"], sigma, alpha, sigmas), wanted)


def scheduled(steps):
    """Noise levels of Stable Diffusion at even timesteps, as its `normal` scheduler takes them."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=DOUBLE) ** 2
    signal = torch.cumprod(1 - betas, 0)
    table = ((1 - signal) / signal).sqrt()
    return table[torch.linspace(999, 0, steps).round().long()].tolist()


def shifted(steps):
    """Noise levels of a flow, shifted by 3 as those of Stable Diffusion 3."""
    times = [1 - step / steps for step in range(steps)]
    return [3 * time / (1 + 2 * time) for time in times]


RUNS = pytest.mark.parametrize(
    ("alpha", "spacing", "low"), [(torch.ones_like, scheduled, 1.618), (flow, shifted, 0.0)]
)


def pushed(kind, alpha, sigmas, low, strength=0.1):
    """How far a run of Euler ends from the unguided one, under an energy of constant slope.

    The exact model of latents of unit variance, whose answer is linear in x; RMS over the latent.
    """

    def model(x, sigma):
        a = alpha(sigma)
        return Estimate(per_sample(a / (a.square() + sigma.square()), x) * x, sigma)

    def slope(estimate):
        return (seeded(1, 4, 5, 6, seed=9) * estimate.x0).flatten(1).sum(1)

    run = run_with(alpha=alpha, sigmas=(*sigmas, 0.0))
    ends = []
    for rules in ([], [kind(slope, Window(math.inf, low, value=strength))]):
        denoise, x = guided(rules, model, run), latent() * sigmas[0]
        for sigma, following in pairwise((*sigmas, 0.0)):
            x = euler(x, denoise(x, levels(sigma)).x0, sigma, following, alpha)
        ends.append(x)
    return float(rms(ends[1] - ends[0]).mean())


@pytest.mark.parametrize("steps", [10, 20, 40])
@RUNS
def test_the_moves_of_a_run_sum_up_to_the_angle_that_its_window_covers(alpha, spacing, low, steps):
    """In units of the latent's own size, and however the levels are spaced."""
    sigmas, total = (*spacing(steps), 0.0), 0.0
    rule = LatentUpdate(toward(), Window(math.inf, low, value=0.1))
    for sigma in sigmas[:-1]:
        size = math.hypot(sigma, float(alpha(levels(sigma))[0]))
        total += float(move(rule, sigma, alpha, sigmas)[0]) / size
    angle = lambda level: math.atan2(level, float(alpha(levels(level))[0]))
    after = max(level for level in sigmas if level <= low)
    assert total == pytest.approx(0.1 * 4 * (angle(sigmas[0]) - angle(after)), rel=1e-9)


@RUNS
def test_the_number_of_steps_does_not_decide_how_far_a_run_is_pushed(alpha, spacing, low):
    few, usual, many = (pushed(LatentUpdate, alpha, spacing(steps), low) for steps in (10, 20, 40))
    assert few == pytest.approx(usual, rel=0.1)
    assert many == pytest.approx(usual, rel=0.1)


@RUNS
def test_a_run_is_pushed_four_times_as_far_as_by_forward(alpha, spacing, low):
    sigmas = spacing(40)
    wanted = 4 * pushed(Forward, alpha, sigmas, low)
    assert pushed(LatentUpdate, alpha, sigmas, low) == pytest.approx(wanted, rel=0.02)


def test_twenty_steps_of_stable_diffusion_push_about_as_far_as_steps_of_one_size_did():
    """With RMS strength * alpha * posterior deviation each, the first half summed up to 0.218."""
    assert pushed(LatentUpdate, torch.ones_like, scheduled(20), 1.618) == pytest.approx(
        0.218, rel=0.1
    )


@EACH
@pytest.mark.parametrize("schedule", [Constant(0), Window(9, 3), Window(1, 0)])
def test_strength_zero_is_no_guidance_bit_for_bit(rule, schedule):
    def never(estimate):
        raise AssertionError("the energy was evaluated")

    quiet, model = replace(rule, strength=schedule, energy=never), Model()
    assert torch.equal(steered(quiet, model=model), seen_by(latent()).x0)
    assert model.calls == 1


@EACH
def test_moves_x0_down_its_energy_and_says_so_truthfully(rule):
    trace, plain = Trace(), seen_by(latent())
    x0 = steered(rule, record=trace)
    after = toward()(replace(plain, x0=x0))
    assert (after < toward()(plain)).all()
    (row,) = trace.rows
    assert_close(torch.tensor(row["energy"], dtype=DOUBLE), toward()(plain))
    assert_close(torch.tensor(row["push"], dtype=DOUBLE), rms(x0 - plain.x0))
    assert_close(torch.tensor(row["cfg_push"], dtype=DOUBLE), rms(plain.x0 - plain.uncond))
    assert torch.equal(x0, steered(rule))


@EACH
def test_sample_alone_equals_sample_in_batch(rule):
    batch, x = steered(rule, latent(3)), latent(3)
    for i in range(3):
        assert torch.equal(steered(rule, x[i : i + 1]), batch[i : i + 1])


def test_costs_one_evaluation_more_than_iterations():
    for iterations in (1, 3):
        model = Model()
        steered(replace(CASES["relative"], iterations=iterations), model=model)
        assert model.calls == iterations + 1


def watching(energy, strength=0.5, model=None):
    """What a rule makes of x, how often a host was asked for one branch, and what it recorded."""
    times, trace = [], Trace()

    @contextmanager
    def alone():
        times.append(1)
        yield

    run = replace(run_with(trace), positive_alone=alone)
    rule = LatentUpdate(energy, Constant(strength), iterations=2)
    x0 = guided([rule], model or Model(), run)(latent(), levels(2.0)).x0
    return x0, len(times), trace.rows[0]


def test_a_host_may_leave_out_the_negative_branch_for_energies_of_captures_alone():
    def attention(estimate):
        return toward()(estimate)

    attention.captures_only = True
    (x0, times, row), (same, never, _) = watching(attention), watching(toward())
    assert (times, never) == (2, 0)
    assert torch.equal(x0, same)
    assert min(row["push"]) > 0
    mixed = WeightedSum(((1.0, attention), (1.0, toward())))
    assert watching(mixed)[1] == 0


def test_refinement_ends_where_every_sample_is_done():
    model = Model()
    high = float(toward()(seen_by(latent())).max())
    steered(LatentUpdate(toward(), Constant(0.5), iterations=9, stop=high), model=model)
    assert model.calls == 1
    model = Model()
    near = LatentUpdate(toward(), Constant(0.15), iterations=50, stop=0.5 * high)
    steered(near, model=model)
    assert 2 < model.calls < 50


def test_a_sample_that_is_done_rests_and_its_neighbour_goes_on():
    energies = toward()(seen_by(latent()))
    rule = replace(CASES["relative"], stop=float(energies.mean()))
    moved = rms(steered(rule) - seen_by(latent()).x0) > 0
    assert torch.equal(moved, energies >= energies.mean())


def refining(limit, rounds=30, percent=0.0, sigma=4.0, energy=None, strength=0.1):
    """How often the model was evaluated at a noise level, with how many moves, and x0."""
    asked, model = PercentThresholds(((percent, limit),)), Model()
    rule = LatentUpdate(energy or toward(), Constant(strength), thresholds=asked, rounds=rounds)
    rule = with_noise_levels(rule, lambda percent: 4.0 - 4.0 * percent)
    return model, steered(rule, sigma=sigma, model=model)


def test_a_threshold_is_reached_by_every_sample_or_the_rounds_are_spent():
    start = toward()(seen_by(latent(), 4.0))
    limit = 0.3 * float(start.min())
    model, _ = refining(limit, rounds=200)
    assert 3 < model.calls < 200
    model, _ = refining(limit, rounds=3)
    assert model.calls == 4


def test_the_last_look_of_a_refinement_is_the_estimate_and_meets_the_threshold():
    seen = []

    def watched(estimate):
        seen.append(toward()(estimate))
        return seen[-1]

    limit = 0.9 * float(toward()(seen_by(latent(), 4.0)).min())
    model, _ = refining(limit, rounds=200, energy=watched)
    assert (seen[-1] <= limit).all()
    assert not (seen[-2] <= limit).all()
    assert model.calls == len(seen)


def test_a_threshold_that_is_reached_costs_no_further_evaluation_and_no_backward_pass():
    limit = float(toward()(seen_by(latent(), 4.0)).max())
    slopes = []

    def model(x, sigma):
        x = x.clone()
        if x.requires_grad:
            x.register_hook(lambda grad: slopes.append(grad))
        return Model()(x, sigma)

    asked = Thresholds(((math.inf, limit),))
    rule = LatentUpdate(toward(), Constant(0.1), thresholds=asked)
    assert torch.equal(steered(rule, sigma=4.0, model=model), seen_by(latent(), 4.0).x0)
    assert slopes == []
    counted, x0 = refining(limit)
    assert counted.calls == 1
    assert torch.equal(x0, seen_by(latent(), 4.0).x0)


def test_thresholds_act_at_the_first_step_from_their_position_on_and_others_are_as_without():
    plain = LatentUpdate(toward(), Constant(0.1))
    for percent, steps in ((0.0, (4.0,)), (0.3, (2.0,)), (0.5, (2.0,)), (0.6, (1.0,))):
        for sigma in (4.0, 2.0, 1.0):
            model, x0 = refining(1e-9, 5, percent, sigma)
            assert model.calls == (6 if sigma in steps else 2)
            if sigma not in steps:
                assert torch.equal(x0, steered(plain, sigma=sigma))


def test_a_sample_at_its_threshold_rests_while_its_neighbour_is_refined():
    x = latent(3)
    start = toward()(seen_by(x, 4.0))
    limit = float(start.median())
    asked = Thresholds(((math.inf, limit),))
    rule = LatentUpdate(toward(), Constant(0.1), thresholds=asked)
    batch = steered(rule, x, sigma=4.0)
    moved = rms(batch - seen_by(x, 4.0).x0) > 0
    assert torch.equal(moved, start > limit)
    for i in range(3):
        assert torch.equal(steered(rule, x[i : i + 1], sigma=4.0), batch[i : i + 1])


@EACH
def test_an_outer_rule_goes_through_it(rule):
    inner_and_outer = guided([rule, Forward(toward(), Constant(0.5))], Model(), run_with())
    x0 = inner_and_outer(latent(), levels(2.0)).x0
    assert not x0.requires_grad
    assert not torch.equal(x0, steered(rule))


@EACH
def test_two_runs_are_identical_and_the_prototype_is_untouched(rule):
    before = copy.deepcopy(vars(rule))
    assert torch.equal(steered(rule), steered(rule))
    assert vars(rule).keys() == before.keys()


def test_a_flow_that_is_all_noise_is_finite():
    x0 = steered(CASES["relative"], sigma=1.0, alpha=flow, sigmas=(1.0, 0.8, 0.0))
    assert x0.isfinite().all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: replace(CASES["relative"], scale="cfg"), "scale must be one of"),
        (lambda: replace(CASES["relative"], iterations=0), "iterations must be >= 1"),
        (lambda: replace(CASES["relative"], stop=-1.0), "stop must be >= 0"),
        (lambda: replace(CASES["relative"], rounds=0), "rounds must be >= 1"),
    ],
)
def test_bad_arguments_are_refused_at_once(make, words):
    with pytest.raises(ValueError, match=words):
        make()
