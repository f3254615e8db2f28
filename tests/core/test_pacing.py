"""Rules that rest while the estimate stays where it was at their last gradient."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from guidance_core.compose import guided, with_noise_levels
from guidance_core.process import posterior_std
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.latent_update import LatentUpdate
from guidance_core.rules.manifold import Manifold
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.unified import Unified
from guidance_core.run import Run
from guidance_core.schedules import Constant, EveryNth, Scaled, WhenMoved, Window
from tests.core.toys import DOUBLE, Model, latent, levels, toward
from tests.ground_truth import ve

SIGMAS = (10.0, 8.0, 6.0, 4.0, 2.0)
RULES = (Forward, Backward, Manifold, Posterior, Unified, LatentUpdate)


def moved_by(share, sigma):
    """The shift of an estimate by a share of its standard deviation at a noise level."""
    level = torch.tensor([sigma], dtype=DOUBLE)
    return share * posterior_std(level, torch.ones_like(level)).item()


def model_at(shifts):
    """A model whose estimate, of x = 0, is at these shifts, one list a noise level."""

    def denoise(x, sigma):
        at = torch.tensor(shifts[float(sigma[0])], dtype=DOUBLE).view(-1, 1, 1, 1)
        estimate = Model()(x, sigma)
        return replace(estimate, x0=estimate.x0 + at)

    return denoise


def acts(rule, shifts, batch):
    """For each noise level: which samples the rule moved, and which it says it took."""
    found = []
    run = Run(ve, torch.tensor([*SIGMAS, 0.0], dtype=DOUBLE), lambda r: taken.append(r.taken))
    model = model_at(shifts)
    steered = guided([rule], model, run)
    for sigma in shifts:
        taken = []
        x, level = torch.zeros_like(latent(batch)), levels(sigma, batch)
        moved = (steered(x, level).x0 != model(x, level).x0).flatten(1).any(1).tolist()
        found.append(moved)
        assert ([flag.tolist() for flag in taken] or [[False] * batch]) == [moved]
    return found


def test_a_gradient_is_taken_where_the_estimate_moved_by_more_than_the_fraction():
    here = moved_by(0.21, 6.0)
    shifts = {10.0: [0.0], 8.0: [moved_by(0.19, 8.0)], 6.0: [here]}
    # From where the last gradient was taken, and not from where the estimate was a step ago.
    shifts |= {4.0: [here + moved_by(0.19, 4.0)], 2.0: [here - moved_by(0.21, 2.0)]}
    rule = Forward(toward(), WhenMoved(Constant(), 0.2))
    assert acts(rule, shifts, 1) == [[True], [False], [True], [False], [True]]


def test_each_sample_rests_for_itself_and_as_it_would_alone():
    near = dict.fromkeys(SIGMAS, 0.0)
    far = {sigma: 0.37 * step for step, sigma in enumerate(SIGMAS)}
    rule = Forward(toward(), WhenMoved(Constant(), 0.2))
    together = acts(rule, {sigma: [near[sigma], far[sigma]] for sigma in SIGMAS}, 2)
    assert together == [[True, True]] + [[False, True]] * 4
    model = model_at({sigma: [near[sigma], far[sigma]] for sigma in SIGMAS})
    alone = model_at({sigma: [far[sigma]] for sigma in SIGMAS})
    run = Run(ve, torch.tensor([*SIGMAS, 0.0], dtype=DOUBLE))
    both, one = guided([rule], model, run), guided([rule], alone, run)
    for sigma in SIGMAS:
        x = latent(2)
        second = both(x, levels(sigma, 2)).x0[1:]
        assert torch.equal(second, one(x[1:], levels(sigma, 1)).x0)


@pytest.mark.parametrize("make", RULES, ids=lambda make: make.__name__)
def test_a_step_at_rest_asks_no_energy_and_is_the_models_own(make):
    seen = []

    def energy(estimate):
        seen.append(float(estimate.sigma[0]))
        return toward()(estimate)

    rule = make(energy, WhenMoved(Constant(0.5), 1e6))
    run = Run(ve, torch.tensor([*SIGMAS, 0.0], dtype=DOUBLE))
    model = Model()
    steered = guided([rule], model, run)
    first = steered(latent(), levels(10.0)).x0
    assert set(seen) == {10.0}
    assert not torch.equal(first, Model()(latent(), levels(10.0)).x0)
    calls = model.calls
    assert torch.equal(steered(latent(), levels(8.0)).x0, Model()(latent(), levels(8.0)).x0)
    assert set(seen) == {10.0}
    assert model.calls == calls + 1


@pytest.mark.parametrize("make", RULES, ids=lambda make: make.__name__)
def test_a_step_that_counts_is_that_of_the_rule_itself(make):
    paced, own = (make(toward(), when) for when in (WhenMoved(Constant(0.5), 0.1), Constant(0.5)))
    run = Run(ve, torch.tensor([*SIGMAS, 0.0], dtype=DOUBLE))
    results = [guided([rule], Model(), run)(latent(), levels(8.0)).x0 for rule in (paced, own)]
    assert torch.equal(*results)


def test_rules_around_it_go_through_it_and_each_run_begins_anew():
    run = Run(ve, torch.tensor([*SIGMAS, 0.0], dtype=DOUBLE))
    resting = Forward(toward(), WhenMoved(Constant(0.5), 1e6))
    outer = Forward(toward(), Constant(0.5))
    steered = guided([resting, outer], Model(), run)
    steered(latent(), levels(10.0))
    alone = guided([outer], Model(), run)(latent(), levels(8.0)).x0
    assert torch.equal(steered(latent(), levels(8.0)).x0, alone)
    again = guided([resting], Model(), run)(latent(), levels(8.0)).x0
    assert not torch.equal(again, Model()(latent(), levels(8.0)).x0)


def test_it_counts_only_where_its_schedule_does():
    window = WhenMoved(Window(7.0, 3.0), 0.2)
    rule = Forward(toward(), Scaled(window, 2.0))
    assert acts(rule, {s: [0.0] for s in SIGMAS}, 1) == [[False]] * 2 + [[True]] + [[False]] * 2
    every = with_noise_levels(WhenMoved(EveryNth(Constant(), 2), 0.2), lambda p: p, SIGMAS)
    assert [every(sigma) > 0 for sigma in SIGMAS] == [True, False, True, False, True]


@pytest.mark.parametrize("fraction", [0.0, -1.0, float("nan")])
def test_a_fraction_of_nothing_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction must be > 0"):
        WhenMoved(Constant(), fraction)
