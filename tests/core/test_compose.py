"""Stacks, what they need from a host, and percentages turned into noise levels."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from guidance_core.captures import Attention, Features
from guidance_core.compose import any_active, guided, with_noise_levels
from guidance_core.energies.classifier import ClassLabel
from guidance_core.energies.clip_text import ClipText
from guidance_core.energies.color import MeanColor
from guidance_core.energies.scheduled import Scheduled
from guidance_core.energies.weighted_sum import WeightedSum
from guidance_core.requirements import requirements_of
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.run import Run
from guidance_core.schedules import Constant, PercentWindow, Scaled, Window
from guidance_core.types import Estimate
from tests.core.toys import (
    Model,
    TinyClassifier,
    TinyClip,
    decode,
    latent,
    levels,
    run_with,
    toward,
)

MAP = Attention((1,))


def test_no_rules_is_the_model():
    estimate = guided([], Model(), run_with())(latent(), levels(1.0))
    assert torch.equal(estimate.x0, Model()(latent(), levels(1.0)).x0)


def test_a_stack_without_work_builds_no_graph():
    def model(x, sigma):
        assert not torch.is_grad_enabled()
        assert not x.requires_grad
        return Model()(x, sigma)

    rules = [Forward(toward(), Constant(0)), Backward(toward(), Window(9, 5))]
    denoise = guided(rules, model, run_with())
    with torch.enable_grad():
        denoise(latent().requires_grad_(), levels(1.0))


def test_networks_are_shared_by_a_run_and_never_copied(monkeypatch):
    clip, classifier = TinyClip(), TinyClassifier()
    energy = WeightedSum(((1.0, ClipText(clip, "a")), (1.0, ClassLabel(classifier, "red"))))

    def refuse(self, memo):
        raise AssertionError("a network was copied")

    monkeypatch.setattr(nn.Module, "__deepcopy__", refuse, raising=False)
    guided([Forward(energy, Constant())], Model(), run_with())(latent(), levels(1.0))
    assert clip.encoded == 1
    assert "target" not in vars(energy.parts[0][1])


def test_needs_of_a_stack_are_joined_and_networks_listed_once():
    clip, classifier = TinyClip(), TinyClassifier()
    text = ClipText(clip, "a")
    rules = [
        Forward(WeightedSum(((1.0, text), (2.0, ClassLabel(classifier, "red")))), Constant()),
        Backward(Scheduled(text, Constant()), Constant()),
        Backward(toward(), Constant()),
    ]
    wanted = requirements_of(rules)
    assert wanted.networks == (clip, classifier)
    assert wanted.reads_image
    assert wanted.captures == frozenset()
    assert not requirements_of(rules[2:]).reads_image


def test_a_rule_may_ask_for_captures_itself():
    class Watching:
        captures = frozenset({MAP})

        def __call__(self, denoise, x, sigma, run):
            return denoise(x, sigma)

    assert requirements_of([Watching(), Forward(toward(), Constant())]).captures == {MAP}


def test_active_says_where_a_stack_has_work():
    never = Scheduled(toward(), Window(1.0, 0.5))
    rules = [Forward(toward(), Window(9.0, 4.0)), Backward(never, Constant())]
    assert [any_active(rules, sigma) for sigma in (9.5, 9, 4, 1, 0.5)] == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert not any_active([], 1.0)
    assert any_active([lambda denoise, x, sigma, run: denoise(x, sigma)], 1.0)


def linear(percent: float) -> float:
    return 14.0 * (1 - percent)


def test_resolved_reaches_every_percent_window():
    window = PercentWindow(0.25, 0.75)
    energy = WeightedSum(((1.0, Scheduled(toward(), Scaled(window, 2.0))),))
    rule = with_noise_levels([Forward(energy, window)], linear)[0]
    assert rule.strength(10.5) == 1
    assert rule.strength(10.6) == 0
    assert rule.energy.parts[0][1].schedule(10.5) == 2
    assert isinstance(energy.parts[0][1].schedule.schedule, PercentWindow)


def test_resolved_gives_back_what_needs_no_change():
    network = TinyClip()
    for thing in (network, Forward(ClipText(network, "a"), Constant()), [Constant()], (1, "a"), 3):
        assert with_noise_levels(thing, linear) is thing


def test_resolved_keeps_networks():
    network = TinyClip()
    rule = with_noise_levels(Forward(ClipText(network, "a"), PercentWindow()), linear)
    assert rule.energy.network is network


def test_an_estimate_decodes_once_and_keeps_captures_when_moved():
    calls = []

    def counted(x0):
        calls.append(1)
        return decode(x0)

    estimate = Estimate(latent(), levels(1.0), counted, {MAP: (latent(),)}, latent(), latent())
    assert estimate.image is estimate.image
    assert len(calls) == 1
    moved = estimate.moved(torch.ones_like(latent()))
    assert torch.equal(moved.x0 - moved.uncond, estimate.x0 - estimate.uncond)
    assert not torch.equal(moved.image, estimate.image)
    assert moved.capture(MAP) is estimate.capture(MAP)
    with pytest.raises(KeyError, match=r"there is no attention to .* recorded was nothing"):
        Estimate(latent(), levels(1.0)).capture(MAP)
    with pytest.raises(KeyError, match="recorded was attention to "):
        estimate.capture(Features())


def test_a_delta_is_a_constant():
    delta = latent(seed=1).requires_grad_()
    assert not Estimate(latent(), levels(1.0)).moved(delta).x0.requires_grad


def test_an_image_without_a_decoder_says_what_to_connect():
    with pytest.raises(ValueError, match="connect a VAE"):
        _ = Estimate(latent(), levels(1.0)).image


def test_two_image_energies_decode_once():
    calls = []

    def model(x, sigma):
        return Estimate(x, sigma, lambda x0: (calls.append(1), decode(x0))[1])

    red, blue = (MeanColor(torch.tensor(c)) for c in ([1.0, 0, 0], [0, 0, 1.0]))
    energy = WeightedSum(((1.0, red), (1.0, blue)))
    guided([Forward(energy, Constant())], model, run_with())(latent(), levels(1.0))
    assert len(calls) == 1


def test_next_sigma_is_the_next_lower_level_of_the_run():
    run = Run(torch.ones_like, torch.tensor([4.0, 2.0, 1.0, 0.0]))
    assert [run.next_sigma(s) for s in (9.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.0)] == [4, 2, 2, 1, 0, 0, 0]
    assert run.next_sigma(2.0 * (1 + 1e-7)) == 1


def test_noise_depends_on_seed_key_and_row_alone():
    run = run_with()
    three, one = run.noise(latent(3), 5, 7), run.noise(latent(1), 5, 7)
    assert torch.equal(three[:1], one)
    assert not torch.equal(three[0], three[1])
    assert not torch.equal(one, run.noise(latent(1), 5, 8))
    other = Run(run.alpha, run.sigmas, seed=2)
    assert not torch.equal(one, other.noise(latent(1), 5, 7))
    assert abs(float(run.noise(latent(500)).std()) - 1) < 0.01


def test_prototypes_of_rules_can_be_copied():
    rule = Forward(ClipText(TinyClip(), "a"), PercentWindow())
    assert copy.copy(rule).energy is rule.energy
