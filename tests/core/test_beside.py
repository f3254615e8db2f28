"""Energies that compare with another image, which the model is shown beside the sample."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from guidance_core.attention.references import Reference, Shown
from guidance_core.captures import Features
from guidance_core.compose import guided
from guidance_core.energies.feature_keep import FeatureKeep
from guidance_core.energies.layout import Layout
from guidance_core.energies.look import Look
from guidance_core.process import per_sample
from guidance_core.rules.beside import Beside
from guidance_core.rules.forward import Forward
from guidance_core.schedules import Constant, Window
from guidance_core.types import Estimate
from tests.core.toys import DOUBLE, assert_close, inside, latent, levels, run_with, seeded

FEATURES = Features()
OTHER = latent(2, seed=3)


class Seen:
    """A model that shows features, and keeps at which x it was evaluated, with a graph or not."""

    def __init__(self) -> None:
        self.calls: list[tuple[torch.Tensor, bool]] = []

    def __call__(self, x, sigma):
        self.calls.append((x.detach().clone(), x.requires_grad))
        size = per_sample(sigma, x)
        captures = {FEATURES: inside(FEATURES, x / (1 + size))}
        return Estimate(x / (1 + size**2), sigma, captures=captures)


def flow(sigma):
    return 1 - sigma


HALF = Constant(0.5)


def beside(strength=HALF, scale="absolute", other=OTHER):
    return Beside(Forward(FeatureKeep(Shown()), strength, scale), other)


@pytest.mark.parametrize("alpha", [torch.ones_like, flow])
def test_it_is_the_rule_with_what_the_model_shows_of_the_other_under_the_first_noise(alpha):
    model, run = Seen(), replace(run_with(lambda _: None), alpha=alpha)
    steered = guided([beside()], model, run)
    noise = None
    for level, seed in ((0.9, 0), (0.6, 1)):
        x, sigma = latent(seed=seed), levels(level)
        signal = alpha(sigma)[0]
        if noise is None:
            noise = (x - signal * x / (1 + level**2)) / level
        there = signal * OTHER + level * noise
        captures = inside(FEATURES, there / (1 + level))
        by_hand = Reference({level: {FEATURES: captures}}, (5, 6))
        expected = guided([Forward(FeatureKeep(by_hand), HALF, "absolute")], Seen(), run)
        assert_close(steered(x, sigma).x0, expected(x, sigma).x0)
        assert not torch.equal(steered(x, sigma).x0, Seen()(x, sigma).x0)


def test_it_costs_one_evaluation_without_a_graph_a_step_and_one_more_at_the_first():
    model = Seen()
    steered = guided([beside(Window(2.0, 0.5, value=0.5))], model, run_with(lambda _: None))
    for level, calls in ((3.0, 1), (1.0, 3), (0.7, 2), (0.1, 1)):
        model.calls.clear()
        steered(latent(), levels(level))
        graphs = [graph for _, graph in model.calls]
        assert graphs == [False] * (calls - 1) + [calls > 1]


def test_two_images_beside_cost_an_evaluation_each_and_are_shown_without_the_rules_below():
    third, model, noted = latent(2, seed=4), Seen(), []
    rules = [beside(Window(2.0, 0.5, value=0.5)), beside(Window(9.0, 0.5, value=0.5), other=third)]
    steered = guided(rules, model, run_with(noted.append))
    noises = {}
    for level, calls in ((3.0, 3), (1.0, 4), (0.7, 3)):
        model.calls.clear()
        x, sigma = latent(seed=int(10 * level)), levels(level)
        steered(x, sigma)
        assert len(model.calls) == calls
        assert [graph for _, graph in model.calls].count(True) == 1
        others = (third,) if level > 2 else (OTHER, third)
        for other in others:
            noise = noises.setdefault(id(other), (x - x / (1 + level**2)) / level)
            there = other + level * noise
            assert any(torch.allclose(seen, there) for seen, _ in model.calls)
    assert len(noted) == 1 + 2 + 2


def test_a_sample_alone_is_the_sample_in_a_batch():
    both = guided([beside(scale="relative")], Seen(), run_with(lambda _: None))
    x = latent()
    whole = both(x, levels(0.8)).x0
    for i in range(2):
        rule = beside(scale="relative", other=OTHER[i : i + 1])
        alone = guided([rule], Seen(), run_with(lambda _: None))
        assert_close(alone(x[i : i + 1], levels(0.8, 1)).x0, whole[i : i + 1])


def test_each_run_has_its_own_noise_and_leaves_the_rule_as_it_was():
    rule = beside()
    runs = [guided([rule], Seen(), run_with(lambda _: None)) for _ in range(2)]
    first, second = (run(latent(seed=k), levels(0.8)).x0 for k, run in enumerate(runs))
    fresh = guided([beside()], Seen(), run_with(lambda _: None))
    assert torch.equal(second, fresh(latent(seed=1), levels(0.8)).x0)
    assert not torch.equal(first, second)


def test_what_does_not_fit_is_said():
    ran = lambda other: guided([beside(other=other)], Seen(), run_with(lambda _: None))
    with pytest.raises(ValueError, match="latent of 4 x 8 x 8, this run has 4 x 5 x 6: scale"):
        ran(seeded(1, 4, 8, 8))(latent(), levels(0.8))
    with pytest.raises(ValueError, match="3 images are kept, the latent batch has 2"):
        ran(seeded(3, 4, 5, 6))(latent(), levels(0.8))


def test_a_look_is_the_same_wherever_things_are():
    there = seeded(1, 3, 4, 4).half().double()
    places = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    moved = there.flatten(2)[..., places].view_as(there)
    energy = Look(Reference({1.0: {FEATURES: (there,)}}, (4, 4)))
    value = lambda now: energy(Estimate(now, levels(1.0, 1), captures={FEATURES: (now,)}))
    assert_close(value(moved), torch.zeros(1, dtype=DOUBLE))
    # Twice the activations: a Gram matrix four times as large.
    assert_close(value(2 * there), torch.tensor([9.0], dtype=DOUBLE))
    now = seeded(1, 3, 4, 4, seed=1)
    gram = lambda v: torch.einsum("bcij,bdij->bcd", v, v) / 16
    far = gram(there)
    assert_close(value(now), (gram(now) - far).square().sum((1, 2)) / far.square().sum())


def layout_of(now, there):
    energy = Layout(Reference({1.0: {FEATURES: (there,)}}, tuple(there.shape[-2:])))
    return energy(Estimate(now, levels(1.0, 1), captures={FEATURES: (now,)}))


def test_a_layout_is_the_same_whatever_things_look_like():
    there = seeded(1, 3, 4, 5).half().double()
    turned, _ = torch.linalg.qr(seeded(3, 3, seed=4))
    recoloured = 2 * torch.einsum("dc,bcij->bdij", turned, there) + seeded(1, 3, 1, 1, seed=5)
    assert_close(layout_of(recoloured, there), torch.zeros(1, dtype=DOUBLE))
    now = seeded(1, 3, 4, 5, seed=1)

    def cosines(values):
        rows = (values - values.mean((2, 3), keepdim=True))[0].flatten(1).T
        lengths = rows.norm(dim=1)
        return rows @ rows.T / (lengths[:, None] * lengths[None])

    expected = (cosines(now) - cosines(there)).square().mean()
    assert_close(layout_of(now, there), expected[None])


def test_the_layout_of_large_activations_is_that_of_their_means_over_blocks():
    now, there = seeded(1, 3, 64, 32), seeded(1, 3, 64, 32, seed=1).half().double()
    halved = lambda values: (values[:, :, ::2] + values[:, :, 1::2]) / 2
    similar = layout_of(halved(now), halved(there).half().double())
    torch.testing.assert_close(layout_of(now, there), similar, rtol=1e-3, atol=1e-6)
