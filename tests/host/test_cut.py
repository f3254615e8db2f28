"""A gradient that another pack cuts: the error names the pack and a rule that works."""

from __future__ import annotations

import pytest
import torch
from comfy.patcher_extension import WrappersMP
from energy_guidance.guidance_core.rules.backward import Backward
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.manifold import Manifold
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.host import guide
from energy_guidance.tests.host import probe, tiny

FORWARD = Forward(probe.Nearness(), Constant(0.5), look_at="cfg")
ADVICE = "use Rule: Backward or Rule: Manifold"


def without_gradient(executor, *args, **kwargs):
    with torch.no_grad():
        return executor(*args, **kwargs)


def in_inference_mode(executor, *args, **kwargs):
    with torch.inference_mode():
        return executor(*args, **kwargs)


@torch.no_grad()
def on_result(args):
    return args["denoised"] * 1.0


@torch.no_grad()
def around_network(apply_model, args):
    return apply_model(args["input"], args["timestep"], **args["c"])


def innocent(executor, *args, **kwargs):
    return executor(*args, **kwargs)


def wrapped(kind, function):
    def change(model):
        model.add_wrapper_with_key(kind, "another pack", function)

    return change


PACKS = {
    "step": (wrapped(WrappersMP.PREDICT_NOISE, without_gradient), "without_gradient"),
    "branches": (wrapped(WrappersMP.CALC_COND_BATCH, without_gradient), "without_gradient"),
    "model": (wrapped(WrappersMP.APPLY_MODEL, in_inference_mode), "in_inference_mode"),
    "network": (wrapped(WrappersMP.DIFFUSION_MODEL, without_gradient), "without_gradient"),
    "result": (lambda model: model.set_model_sampler_post_cfg_function(on_result), "on_result"),
    "function": (
        lambda model: model.set_model_unet_function_wrapper(around_network),
        "around_network",
    ),
}


def sampled(rule, change, **options):
    return stacked([rule], change, **options)


def stacked(rules, change, **options):
    with torch.inference_mode():
        guided = guide.apply(tiny.unet(), rules)
        change(guided)
        return tiny.sample(guided, steps=1, **options)


@pytest.mark.parametrize("cfg", [1.0, 4.0])
@pytest.mark.parametrize("pack", PACKS)
def test_the_error_names_what_cuts_and_what_works(pack, cfg):
    change, name = PACKS[pack]
    with pytest.raises(RuntimeError, match=rf"{name} of \S*test_cut.* computes without.*{ADVICE}"):
        sampled(FORWARD, change, cfg=cfg)
    assert sampled(Backward(probe.Nearness(), Constant(0.5)), change, cfg=cfg).isfinite().all()


def test_a_pack_at_another_place_is_not_blamed():
    def change(model):
        PACKS["result"][0](model)
        model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "good pack", innocent)

    with pytest.raises(RuntimeError, match="on_result") as told:
        sampled(FORWARD, change)
    assert "good pack" not in str(told.value)


def test_what_cuts_the_result_of_cfg_does_not_cut_the_positive_estimate():
    rule = Forward(probe.Nearness(), Constant(0.5), look_at="positive")
    assert sampled(rule, PACKS["result"][0]).isfinite().all()


def test_rules_at_the_estimate_need_no_gradient_of_it():
    """Beside a rule that takes the slope of the positive estimate, cut or not."""
    through = Forward(probe.Nearness(), Constant(0.5), look_at="positive")
    at = Manifold(probe.Nearness(), Constant(0.5), look_at="cfg")
    cut = PACKS["result"][0]
    for rules in ([at, through], [through, at]):
        together = stacked(rules, cut, cfg=4.0)
        torch.testing.assert_close(together, stacked(rules, lambda model: None, cfg=4.0))
        assert not any(torch.equal(together, sampled(rule, cut, cfg=4.0)) for rule in rules)
    with pytest.raises(RuntimeError, match="on_result"):
        stacked([through, FORWARD], cut)


@pytest.mark.parametrize("cfg", [1.0, 4.0])
def test_a_prompt_that_is_inactive_is_told_as_such(cfg):
    late = tiny.cond(1, start_percent=0.9, end_percent=1.0)
    with pytest.raises(RuntimeError, match=rf"no positive prompt is active at this step.*{ADVICE}"):
        sampled(FORWARD, lambda model: None, positive=late, cfg=cfg)
