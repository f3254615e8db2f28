"""What the gradient primitives promise, and how they complain."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from guidance_core.captures import Attention
from guidance_core.gradients import at_estimate, through_model
from guidance_core.types import Estimate
from tests.core.toys import Model, assert_close, latent, levels, toward

MAP = Attention((1,))


def test_gradient_through_the_model_is_autograds():
    x = latent().requires_grad_()
    (expected,) = torch.autograd.grad(toward()(Model()(x, levels(2.0))).sum(), x)
    estimate, energy, grad = through_model(toward(), Model(), x.detach(), levels(2.0))
    assert_close(grad, expected)
    assert_close(energy, toward()(estimate))
    assert not any(t.requires_grad for t in (grad, energy, estimate.x0, estimate.uncond))


def test_gradient_counts_every_way_from_the_input_once():
    """x0 depends on the capture: the energy of both must not count that way twice."""

    def model(x, sigma):
        attention = x.sin()
        return Estimate(x + attention.square(), sigma, captures={MAP: (attention,)}, cond=x.cos())

    def energy(e):
        return (e.x0 * e.capture(MAP)[0] + e.cond).flatten(1).sum(1)

    x = latent().requires_grad_()
    (expected,) = torch.autograd.grad(energy(model(x, levels(1.0))).sum(), x)
    assert_close(through_model(energy, model, x.detach(), levels(1.0))[2], expected)


def test_an_outer_graph_is_shared_and_kept():
    x = latent().requires_grad_()
    estimate, _, _ = through_model(toward(), Model(), x, levels(1.0))
    assert estimate.x0.requires_grad
    (grad,) = torch.autograd.grad(estimate.x0.sum(), x)
    assert grad.abs().sum() > 0


def test_the_graph_of_the_model_is_freed_where_nobody_else_needs_it():
    kept = []

    def model(x, sigma):
        kept[:] = x, Model()(x, sigma)
        return kept[1]

    through_model(toward(), model, latent(), levels(1.0))
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(kept[1].x0.sum(), kept[0])


@pytest.mark.parametrize("resting", [(True, False), (True, True)])
def test_the_model_is_not_entered_backwards_where_every_sample_rests(resting):
    entered = []

    def model(x, sigma):
        x.register_hook(lambda grad: entered.append(True))
        return Model()(x, sigma)

    awake = ~torch.tensor(resting)
    energy = lambda e: toward()(e) * awake
    _, values, grad = through_model(energy, model, latent(2), levels(1.0, 2))
    assert bool(entered) == awake.any()
    assert grad.flatten(1).any(1).tolist() == awake.tolist() == values.bool().tolist()


def test_gradient_at_the_estimate_is_autograds():
    estimate = Model()(latent(), levels(2.0))
    energy, grad = at_estimate(toward(), estimate)
    assert_close(grad, estimate.x0 - 0.5)
    assert not energy.requires_grad


def test_gradients_work_under_no_grad():
    with torch.no_grad():
        _, _, grad = through_model(toward(), Model(), latent(), levels(2.0))
        _, slope = at_estimate(toward(), Model()(latent(), levels(2.0)))
    assert grad.abs().min() > 0
    assert slope.abs().min() > 0


def test_small_gradients_survive_a_half_precision_model_beside_large_ones():
    weights = torch.tensor([1e-9, 1e6])

    def model(x, sigma):
        return Estimate(x.half().float() * 3, sigma)

    def energy(e):
        return weights * toward()(e)

    x = latent().float()
    _, _, grad = through_model(energy, model, x, levels(1.0).float())
    expected = 3 * weights.view(2, 1, 1, 1) * (3 * x.half().float() - 0.5)
    torch.testing.assert_close(grad, expected, rtol=2e-3, atol=0)


def broken(value):
    return lambda e: (e.x0 * value).flatten(1).sum(1) * torch.tensor([1.0, value])


def root_at_zero(e):
    return (e.x0 - e.x0.detach()).flatten(1).sum(1).sqrt()


def crosswise(e):
    return e.x0.sum()


def elsewhere(e):
    return e.sigma.clone()


@pytest.mark.parametrize(
    ("energy", "words"),
    [
        (broken(float("nan")), r"sigma 2: the energy is not finite for sample 0, 1: "),
        (root_at_zero, "root_at_zero at sigma 2: the gradient is not finite"),
        (crosswise, "one value per sample, 2 here, got a single number: "),
        (elsewhere, "elsewhere at sigma 2: "),
    ],
)
def test_complaints_name_rule_energy_and_noise_level(energy, words):
    with pytest.raises(RuntimeError, match="^Mine with energy .*" + words):
        through_model(energy, Model(), latent(), levels(2.0), rule="Mine")
    with pytest.raises(RuntimeError, match="^Mine with energy .*" + words):
        at_estimate(energy, Model()(latent(), levels(2.0)), rule="Mine")


def test_a_model_without_a_graph_is_an_error_not_a_silent_nothing():
    def blind(x, sigma):
        return Model()(x.detach(), sigma)

    with pytest.raises(RuntimeError, match="no gradient reaches the model's input"):
        through_model(toward(), blind, latent(), levels(2.0))


def test_an_energy_of_captures_alone_has_no_gradient_at_the_estimate():
    estimate = replace(Model()(latent(), levels(2.0)), captures={MAP: (latent(),)})

    def energy(e):
        return e.capture(MAP)[0].flatten(1).sum(1)

    with pytest.raises(RuntimeError, match="use a rule that goes through the model"):
        at_estimate(energy, estimate)
