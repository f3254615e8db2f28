"""Packs that deep-copy the host's options during sampling: with them it gives what it gives without
them."""

from __future__ import annotations

import copy

import comfy.samplers
import pytest
import torch
from energy_guidance.guidance_core.captures import Attention
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.latent_update import LatentUpdate
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.host import guide
from energy_guidance.tests.host import probe, tiny
from energy_guidance.tests.host.test_captures import Leftness


def copying_before_cfg(args):
    copy.deepcopy(args["model_options"])
    return args["conds_out"]


def evaluating_with_copies(args):
    """The branches once more, with copied options: their mean is what it was."""
    options = copy.deepcopy(args["model_options"])
    again = comfy.samplers.calc_cond_batch(
        args["model"], args["conds"], args["input"], args["sigma"], options
    )
    return [(one + two) / 2 for one, two in zip(args["conds_out"], again, strict=True)]


def copying_in_attention(q, k, v, options):
    copy.deepcopy(options)
    return q, k, v


def before_cfg(function):
    def patched(model):
        model = model.clone()
        model.set_model_sampler_pre_cfg_function(function)
        return model

    return patched


def in_attention(model):
    model = model.clone()
    model.set_model_attn1_patch(copying_in_attention)
    return model


PACKS = {
    "before CFG": before_cfg(copying_before_cfg),
    "evaluating again": before_cfg(evaluating_with_copies),
    "inside attention": in_attention,
}
RULES = {
    "off": Forward(probe.Nearness(), Constant(0.0)),
    "forward": Forward(probe.Nearness(), Constant(0.5)),
    "attention": LatentUpdate(Leftness(frozenset([Attention((1, 4))])), Constant(0.5)),
}


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("rule", RULES)
def test_copied_options_change_nothing(pack, rule):
    model = tiny.unet()
    with torch.inference_mode():
        expected = tiny.sample(guide.apply(model, [RULES[rule]]))
        for patched in (
            PACKS[pack](guide.apply(model, [RULES[rule]])),
            guide.apply(PACKS[pack](model), [RULES[rule]]),
        ):
            assert torch.equal(tiny.sample(patched), expected)
        if rule == "off":
            assert torch.equal(expected, tiny.sample(model))
        else:
            assert not torch.equal(expected, tiny.sample(model))
