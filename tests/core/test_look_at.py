"""What an energy is shown above CFG 1, by derivatives known in closed form."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from guidance_core.captures import Attention
from guidance_core.gradients import LOOKS, at_estimate, through_model
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.latent_update import LatentUpdate
from guidance_core.rules.manifold import Manifold
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.unified import Unified
from guidance_core.run import Run
from guidance_core.schedules import Constant
from guidance_core.steering import needs_both
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, assert_close, latent, levels

CFG, A, B, TARGET = 4.0, 0.7, 0.9, 0.25
RULES = {
    "Forward": Forward,
    "Posterior": Posterior,
    "Manifold": Manifold,
    "Backward": Backward,
    "Unified": Unified,
    "Unified at x0": partial(Unified, rho=0.0),
    "LatentUpdate": LatentUpdate,
}


def model(x, sigma, both=False):
    """Two linear branches and CFG; the negative one borrows the positive one's slope, or has its
    own.
    """
    cond, uncond = A * x, B * x
    if not both:
        uncond = uncond.detach() + (cond - cond.detach())
    return Estimate(uncond + CFG * (cond - uncond), sigma, cond=cond, uncond=uncond)


def energy(estimate):
    return 0.5 * (estimate.x0 - TARGET).square().flatten(1).sum(1)


def moved_image(rule, x):
    """Change of x0 by a rule, and the energy that it recorded."""
    records = []
    run = Run(torch.ones_like, torch.tensor([2.0, 1.0, 0.0], dtype=DOUBLE), records.append)
    estimate = rule(model, x, levels(2.0), run)
    return estimate, records[0].energy


@pytest.mark.parametrize(("look_at", "slope"), [("positive", A), ("cfg", A), ("both", None)])
def test_the_gradient_is_that_of_what_is_looked_at(look_at, slope):
    x = latent()
    scale = B + CFG * (A - B)  # the derivative of the result of CFG
    seen = A * x if look_at == "positive" else scale * x
    slope = scale if slope is None else slope
    denoise = partial(model, both=look_at == "both")
    estimate, value, grad = through_model(energy, denoise, x, levels(2.0), look_at=look_at)
    assert_close(grad, slope * (seen - TARGET))
    assert_close(value, 0.5 * (seen - TARGET).square().flatten(1).sum(1))
    assert_close(estimate.x0, scale * x)


@pytest.mark.parametrize("look_at", LOOKS)
def test_the_gradient_at_the_estimate_is_that_of_what_is_looked_at(look_at):
    estimate = model(latent(), levels(2.0))
    seen = estimate.cond if look_at == "positive" else estimate.x0
    value, grad = at_estimate(energy, estimate, look_at=look_at)
    assert_close(grad, seen - TARGET)
    assert_close(value, energy(Estimate(seen, levels(2.0))))


@pytest.mark.parametrize("look_at", LOOKS)
@pytest.mark.parametrize("name", RULES)
def test_every_rule_shows_its_energy_what_it_is_told_to(name, look_at):
    x = latent()
    plain = model(x, levels(2.0))
    seen = plain.cond if look_at == "positive" else plain.x0
    estimate, value = moved_image(RULES[name](energy, Constant(0.5), look_at=look_at), x)
    assert_close(value, energy(Estimate(seen, levels(2.0))))
    # Both branches follow, so that x0 - uncond stays the step of CFG.
    if name != "LatentUpdate":
        assert_close(estimate.x0 - estimate.cond, plain.x0 - plain.cond)


@pytest.mark.parametrize("name", RULES)
def test_at_cfg_1_all_look_at_the_same(name):
    def alone(x, sigma):
        return Estimate(A * x + 0.1 * x.sin(), sigma, cond=A * x + 0.1 * x.sin())

    def x0(look_at):
        rule = RULES[name](energy, Constant(0.5), look_at=look_at)
        run = Run(torch.ones_like, torch.tensor([2.0, 1.0, 0.0], dtype=DOUBLE))
        return rule(alone, latent(), levels(2.0), run).x0

    assert torch.equal(x0("positive"), x0("cfg"))
    assert torch.equal(x0("positive"), x0("both"))


def test_polyak_descends_what_is_looked_at():
    """One step of Polyak's size on a square meets the branch half way, and x0 moves along."""
    x, plain = latent(), model(latent(), levels(2.0))
    rule = Backward(energy, Constant(1000.0), steps=1, optimiser="polyak", look_at="positive")
    assert_close(moved_image(rule, x)[0].x0 - plain.x0, (TARGET - plain.cond) / 2)


def test_only_slopes_that_are_read_are_taken_of_both():
    attention = lambda estimate: estimate.capture(Attention((1,)))[0].flatten(1).sum(1)
    attention.captures = frozenset({Attention((1,))})
    needs = lambda *rules: needs_both(rules, 1.0)
    assert needs(Manifold(energy, Constant()), Forward(energy, Constant(), look_at="both"))
    assert not needs(Forward(energy, Constant(), look_at="cfg"))
    assert not needs(Forward(energy, Constant(0.0), look_at="both"))
    # A rule at the estimate takes no slope of the model, maps are of the positive branch.
    assert not needs(Manifold(energy, Constant(), look_at="both"))
    assert not needs(Unified(energy, Constant(), rho=0.0, look_at="both"))
    assert not needs(LatentUpdate(attention, Constant(), look_at="both"))


def test_without_branches_x0_is_shown():
    estimate = Estimate(latent(), levels(2.0))
    assert estimate.seen("positive") is estimate


def test_an_unknown_choice_is_refused():
    with pytest.raises(
        ValueError, match="look_at must be one of positive, cfg, both, got 'negative'"
    ):
        Forward(energy, Constant(), look_at="negative")
