"""Nodes of the published rules: what their widgets build, and what they refuse."""

from __future__ import annotations

import inspect

import pytest
import torch
from energy_guidance.guidance_core.captures import Attention
from energy_guidance.guidance_core.energies.scheduled import Scheduled
from energy_guidance.guidance_core.rules.backward import Backward
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.presets import PRESETS
from energy_guidance.guidance_core.rules.unified import Unified
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.nodes.energies.classifier import EnergyClassifier
from energy_guidance.nodes.energies.weighted_sum import CombineEnergies
from energy_guidance.nodes.rules.manifold import RuleManifold
from energy_guidance.nodes.rules.posterior import RulePosterior
from energy_guidance.nodes.rules.unified import RuleUnified
from energy_guidance.nodes.sampling.ksampler import energy_rules
from energy_guidance.tests.host import probe

ENERGY = probe.Nearness()


def built(node, energy=ENERGY, **changes):
    """The rule of a node with its default widgets."""
    schema = node.define_schema()
    widgets = {i.id: getattr(i, "default", None) for i in schema.inputs}
    values = {**widgets, "energy": energy, "schedule": None, **changes}
    return node.execute(**values).args[0]


@pytest.mark.parametrize("node", [RuleManifold, RulePosterior, RuleUnified])
def test_defaults_build_a_rule_that_suits_every_sampler(node):
    rule = built(node)
    assert rule.energy is ENERGY
    assert not rule.one_step
    assert rule.strength.schedule == PercentWindow(0.0, 0.7)
    window = PercentWindow(0.2, 0.4)
    assert built(node, schedule=window).strength.schedule is window
    names = [i.id for i in node.define_schema().inputs]
    assert names == list(inspect.signature(node.execute).parameters)


def test_widgets_reach_the_rule():
    unified = RuleUnified
    rule = built(unified, rho=2.0, mu=3.0, gamma=0.5, samples=2, iterations=7, course="decrease")
    assert (rule.rho, rule.mu, rule.gamma, rule.samples) == (2.0, 3.0, 0.5, 2)
    assert (rule.iterations, rule.course, rule.root) == (7, "decrease", False)
    posterior = built(RulePosterior, scale="absolute", residual_norm=False)
    assert posterior.one_step
    assert not posterior.root
    assert built(RuleManifold, projected=True).projected


@pytest.mark.parametrize("scale", ["relative", "absolute"])
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_takes_the_place_of_the_widgets(name, scale):
    rule = built(RuleUnified, preset=name, scale=scale, rho=9.0, gamma=9.0)
    assert rule == Unified(ENERGY, rule.strength, **PRESETS[name].settings(scale))


class Maps:
    captures = frozenset({Attention()})


def test_what_cannot_work_is_refused():
    with pytest.raises(ValueError, match="gamma 1 needs samples"):
        built(RuleUnified, gamma=1.0)
    with pytest.raises(ValueError, match="reads attention or features"):
        built(RuleUnified, energy=Maps(), preset="MPGD")
    with pytest.raises(ValueError, match="reads attention or features"):
        built(RuleManifold, energy=Maps())
    assert built(RuleUnified, energy=Maps(), preset="DPS").through_model


class Labelled(torch.nn.Module):
    """A classifier by name only."""

    labels, multi_label = ("red",), True


def test_a_label_that_is_pushed_away_never_rests():
    node, network = EnergyClassifier, Labelled()
    assert node.execute(network, "red", 1.0).args[0].confidence == 0.9
    ((weight, away),) = node.execute(network, "red", -2.0, confidence=0.5).args[0].parts
    assert (weight, away.confidence) == (-2.0, 1.0)


@pytest.mark.parametrize(
    "wrap", [lambda energy: energy, lambda energy: Scheduled(energy, PercentWindow())]
)
def test_a_sum_refuses_to_push_away_from_a_label_that_rests(wrap):
    node, combine = EnergyClassifier, CombineEnergies
    rests, never, away = (
        node.execute(Labelled(), "red", weight, confidence=confidence).args[0]
        for weight, confidence in ((1.0, 0.9), (1.0, 1.0), (-1.0, 0.9))
    )
    with pytest.raises(ValueError, match=r"'red'.*confidence 0.9.*set confidence to 1"):
        combine.execute(ENERGY, 1.0, -1.0, 1.0, 1.0, energy_2=wrap(rests))
    with pytest.raises(ValueError, match="set confidence to 1"):
        combine.execute(combine.execute(rests, 1.0, 1.0, 1.0, 1.0).args[0], -2.0, 1.0, 1.0, 1.0)
    for energy, weight in ((rests, 1.0), (never, -1.0), (away, 1.0)):
        combine.execute(wrap(energy), weight, 1.0, 1.0, 1.0)


def test_the_guided_sampler_refines_by_descent_only_where_asked():
    window = PercentWindow()
    (alone,) = energy_rules(ENERGY, window, 0)
    forward, refine = energy_rules(ENERGY, window, 3)
    assert alone == forward == Forward(ENERGY, window)
    assert refine == Backward(ENERGY, window, steps=3, optimiser="gd")
