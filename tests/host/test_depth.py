"""Gradients through a part of the host's networks, against networks whose other parts are fixed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.host import guide
from energy_guidance.nodes.host.autograd import memory
from energy_guidance.nodes.host.autograd.recompute import nearest_output
from energy_guidance.tests.host import families, probe, tiny

pytestmark = pytest.mark.once

FLUX = {"channels": 16, "width": 48, "pooled": 32}
MODELS = [(tiny.unet, {}), (tiny.flux, FLUX)]
IDS = ["U-Net", "FLUX"]


@dataclass(frozen=True)
class Shallow(probe.Slopes):
    """The same through a share of the model's blocks."""

    depth: float = 0.5


def found(model, rule, steps=1, cfg=1.0, **options):
    """What the rule records at its last step."""
    records = []
    with torch.inference_mode():
        guided = guide.apply(model, [rule], trace=records.append)
        tiny.sample(guided, steps=steps, cfg=cfg, **options)
    return records[-1]


def tensors(things):
    return [part for part in things if isinstance(part, torch.Tensor)]


class Fixed:
    """A block that adds what it added at its first call, to inputs of its outputs' shapes."""

    def __init__(self, block):
        self.block, self.forward, self.first = block, block.forward, None
        block.forward = self

    def __call__(self, *args, **kwargs):
        given = tensors([*args, *kwargs.values()])
        if self.first is None:
            out = self.forward(
                *[a.clone() if isinstance(a, torch.Tensor) else a for a in args],
                **{k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in kwargs.items()},
            )
            outs = out if isinstance(out, tuple) else (out,)
            pairs = [(o.detach().clone(), self.alike(o, given)) for o in outs]
            self.first = [(o, None if i is None else i.detach().clone()) for o, i in pairs]
            self.tuple = isinstance(out, tuple)
        outs = [o if at is None else o + (self.alike(o, given) - at) for o, at in self.first]
        return tuple(outs) if self.tuple else outs[0].clone()

    @staticmethod
    def alike(out, given):
        return next((each for each in given if each.shape == out.shape), None)


@pytest.mark.parametrize(("make", "options"), MODELS, ids=IDS)
@pytest.mark.parametrize("depth", [0.3, 0.5])
def test_the_gradient_is_the_whole_one_of_a_network_that_adds_constants(make, options, depth):
    model = make()
    short = found(model, Shallow(depth=depth), **options).terms["grad"]
    near = nearest_output(model.model.diffusion_model)
    fixed = [Fixed(block) for block in near[math.ceil(depth * len(near)) :]]
    assert fixed
    record = found(model, probe.Slopes(step=1e-3), **options)
    probe.agree(record)
    torch.testing.assert_close(short, record.terms["grad"], rtol=1e-3, atol=1e-6)


@pytest.mark.everywhere
@pytest.mark.parametrize(("make", "options"), MODELS, ids=IDS)
def test_the_estimate_stays_what_it_was_and_the_gradient_does_not(make, options):
    model = make()
    whole = found(model, probe.Slopes(), **options)
    before = [sorted(vars(part)) for part in model.model.modules()]
    short = found(model, Shallow(), **options)
    assert torch.equal(whole.energy, short.energy)
    assert not torch.allclose(whole.terms["grad"], short.terms["grad"], rtol=1e-2)
    assert [sorted(vars(part)) for part in model.model.modules()] == before
    all_of_it = found(model, Shallow(depth=1.0), **options)
    assert torch.equal(all_of_it.terms["grad"], whole.terms["grad"])


@pytest.mark.everywhere
@pytest.mark.parametrize(("make", "options"), MODELS, ids=IDS)
def test_blocks_that_are_computed_twice_may_be_left_out_too(make, options, monkeypatch):
    model = make()
    once = found(model, Shallow(), **options).terms["grad"]
    monkeypatch.setattr(memory, "is_short_of", lambda needed, device: needed > 0)
    twice = found(model, Shallow(), **options).terms["grad"]
    torch.testing.assert_close(once, twice, rtol=1e-4, atol=1e-7)


CLOSE = ["SD 1.5", "SDXL", "FLUX.1", "Qwen-Image", "Z-Image", "Wan 2.1", "PixArt Sigma"]


@pytest.mark.parametrize("family", [name for name in CLOSE if name in families.FAMILIES])
def test_a_gradient_is_left_in_every_kind_of_network(family):
    model = families.FAMILIES[family].model()
    options = {"steps": 3, **families.FAMILIES[family].options()}
    whole, short = (found(model, rule, **options) for rule in (probe.Slopes(), Shallow()))
    cosine = torch.cosine_similarity(whole.terms["grad"].flatten(1), short.terms["grad"].flatten(1))
    assert torch.equal(whole.energy, short.energy)
    assert (cosine > 0.5).all()


def test_a_rule_hands_its_depth_to_the_model():
    model, x0s = tiny.unet(), []
    forward = Forward(probe.Nearness(), Constant())
    for rule in (forward, replace(forward, depth=0.3)):
        with torch.inference_mode():
            guided = guide.apply(model, [rule])
            x0s.append(tiny.sample(guided, steps=1, cfg=1.0))
    assert not torch.equal(*x0s)
