"""What an energy is shown above CFG 1: gradients through the host's CFG against differences."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest
import torch
from energy_guidance.guidance_core.gradients import through_model
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.manifold import Manifold
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.guidance_core.trace import Record
from energy_guidance.nodes.host import guide
from energy_guidance.tests.host import probe, tiny

pytestmark = pytest.mark.once


@dataclass(frozen=True)
class Slopes:
    """Records the slope of what is looked at, by autograd and by differences of the same."""

    look_at: str
    energy: probe.Nearness = field(default_factory=probe.Nearness)
    strength: Constant = field(default_factory=Constant)
    step: float = 1e-2
    through_model: ClassVar[bool] = True

    def __call__(self, denoise, x, sigma, run):
        direction = run.noise(x, 7)
        estimate, energy, grad = through_model(self.energy, denoise, x, sigma, look_at=self.look_at)
        value = lambda h: self.energy(denoise(x + h * direction, sigma).seen(self.look_at)).double()
        terms = {
            "autograd": (grad.double() * direction).flatten(1).sum(1),
            "difference": (value(self.step) - value(-self.step)) / (2 * self.step),
        }
        run.record(Record("Slopes", float(sigma[0]), energy, energy, energy, None, terms))
        return estimate


def recorded(model, rule, **options):
    records = []
    with torch.inference_mode():
        guided = guide.apply(model, [rule], trace=records.append)
        tiny.sample(guided, **{"steps": 2, "cfg": 4.0, **options})
    return records


MODELS = {
    "U-Net, eps": (lambda: tiny.unet("eps"), {}),
    "U-Net, v": (lambda: tiny.unet("v"), {}),
    "U-Net, flow": (lambda: tiny.unet("flow"), {}),
    "FLUX": (tiny.flux, {"channels": 16, "width": 48, "pooled": 32}),
}


@pytest.mark.parametrize("look_at", ["positive", "both"])
@pytest.mark.parametrize("name", MODELS)
def test_the_slope_is_that_of_finite_differences(name, look_at):
    make, options = MODELS[name]
    for record in recorded(make(), Slopes(look_at), **options):
        probe.agree(record)


def test_cfg_borrows_the_slope_of_the_positive_branch():
    """It is not the derivative of what it looks at, which is why both is a choice."""
    record = recorded(tiny.unet(), Slopes("cfg"))[0]
    with pytest.raises(AssertionError):
        probe.agree(record)


@pytest.mark.parametrize("rule", [Forward, Manifold])
def test_looking_changes_the_result_above_cfg_1_only(rule):
    def sampled(look_at, cfg):
        guided = guide.apply(tiny.unet(), [rule(probe.Nearness(), Constant(0.5), look_at=look_at)])
        with torch.inference_mode():
            return tiny.sample(guided, steps=2, cfg=cfg)

    assert torch.equal(sampled("positive", 1.0), sampled("cfg", 1.0))
    assert not torch.equal(sampled("positive", 4.0), sampled("cfg", 4.0))


@pytest.mark.parametrize("look_at", ["positive", "cfg", "both"])
def test_a_sample_alone_equals_the_sample_in_a_batch(look_at):
    guided = guide.apply(tiny.unet(), [Forward(probe.Nearness(), Constant(0.5), look_at=look_at)])
    run = lambda **options: tiny.sample(guided, steps=2, cfg=4.0, **options)
    with torch.inference_mode():
        torch.testing.assert_close(run(batch=2)[:1], run(batch=1), rtol=1e-3, atol=2e-4)


@pytest.mark.everywhere
def test_only_both_evaluates_the_negative_branch_with_a_graph():
    def graphs(look_at):
        seen = probe.Plain()
        model = tiny.unet().clone()
        model.add_wrapper("apply_model", seen)
        rule = replace(Forward(probe.Nearness(), Constant(0.5)), look_at=look_at)
        recorded(model, rule, steps=1)
        return {cond for _, graph, conds in seen.calls if graph for cond in conds}

    assert graphs("positive") == graphs("cfg") == {0}
    assert graphs("both") == {0, 1}


@pytest.mark.everywhere
def test_both_asks_the_host_for_the_memory_of_two_graphs():
    graphs = lambda *looks: (
        guide.Guidance(
            tuple(Forward(probe.Nearness(), Constant(), look_at=look) for look in looks)
        ).graphs
    )
    assert graphs() == 0
    assert graphs("positive", "cfg") == 1
    assert graphs("positive", "both") == 2
    assert guide.Guidance((Manifold(probe.Nearness(), Constant(), look_at="both"),)).graphs == 0
