"""The host's caches of steps: guided steps are evaluated in full, before and behind guidance."""

from __future__ import annotations

import importlib

import pytest
import torch
from energy_guidance.guidance_core.rules.backward import Backward
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant, PercentWindow
from energy_guidance.nodes.host import guide
from energy_guidance.tests.host import probe, tiny

FIRST_HALF = PercentWindow(0.0, 0.5, value=0.5)
RULES = {
    "through the model": Forward(probe.Nearness(), FIRST_HALF),
    "at the estimate": Backward(probe.Nearness(), FIRST_HALF),
    "all along": Forward(probe.Nearness(), Constant(0.5)),
}


class Counted:
    """Counts the samples that the network is asked for, each branch one."""

    def __init__(self, model):
        self.count = 0
        model.model.diffusion_model.middle_block[0].register_forward_pre_hook(self)

    def __call__(self, module, args):
        self.count += args[0].shape[0]


def cached(model, kind):
    """The MODEL behind the host's node, which skips what it may."""
    node = getattr(importlib.import_module("comfy_extras.nodes_easycache"), f"{kind}Node")
    settings = {"reuse_threshold": 3.0, "start_percent": 0.0, "end_percent": 1.0}
    return node.execute(model, **settings, verbose=False).result[0]


def sampled(rule, order):
    """The samples, the network's evaluations and the energies, with caches before or behind."""
    model, records = tiny.unet(), []
    with torch.inference_mode():
        before, behind = order
        prepared = cached(model, before) if before else model
        prepared = guide.apply(prepared, [rule], trace=records.append)
        prepared = cached(prepared, behind) if behind else prepared
        counted = Counted(model)
        samples = tiny.sample(prepared, steps=16)
    return samples, counted.count, [float(record.energy) for record in records]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", ["EasyCache", pytest.param("LazyCache", marks=pytest.mark.once)])
def test_the_order_of_cache_and_guidance_does_not_matter(kind, rule):
    plain, all_of_them, energies = sampled(RULES[rule], (None, None))
    before, some, _ = sampled(RULES[rule], (kind, None))
    behind, as_many, again = sampled(RULES[rule], (None, kind))
    assert torch.equal(before, behind)
    assert some == as_many
    assert again == energies
    if rule == "all along":
        assert some == all_of_them
        assert torch.equal(before, plain)
    else:
        assert some < all_of_them


@pytest.mark.parametrize("kind", ["EasyCache", "LazyCache"])
@pytest.mark.parametrize("order", [0, 1], ids=["before", "behind"])
def test_at_strength_0_a_cache_skips_what_it_skips_unguided(kind, order):
    model = tiny.unet()
    with torch.inference_mode():
        stock = tiny.sample(cached(model, kind), steps=16)
    places = (kind, None) if order == 0 else (None, kind)
    samples, _, records = sampled(Forward(probe.Nearness(), Constant(0.0)), places)
    assert torch.equal(samples, stock)
    assert not records
