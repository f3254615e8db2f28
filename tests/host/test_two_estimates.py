"""Guiders that predict a second x0 beside the first, as packs that inpaint by Langevin steps do."""

from __future__ import annotations

import comfy.sample
import comfy.samplers
import pytest
import torch
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.manifold import Manifold
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.host import guide
from energy_guidance.tests.host import probe, tiny

BIG = 9.0
RULES = {
    "through the model": Forward(probe.Nearness(), Constant(0.5)),
    "at the estimate": Manifold(probe.Nearness(), Constant(0.5)),
}


def two_estimates(guider, x, timestep, model_options=None, seed=None):
    """x0 at the guider's CFG and at a bigger one, and something that is no estimate."""
    options = model_options or {}
    conds = [guider.conds["positive"], guider.conds["negative"]]
    outputs = comfy.samplers.calc_cond_batch(guider.inner_model, conds, x, timestep, options)
    for function in options.get("sampler_pre_cfg_function", ()):
        told = {"conds": conds, "conds_out": outputs, "cond_scale": guider.cfg, "input": x}
        outputs = function({**told, "sigma": timestep, "model_options": options})
    mixed = (
        comfy.samplers.cfg_function(
            guider.inner_model,
            *(*outputs, scale, x, timestep),
            model_options=options,
            cond=conds[0],
            uncond=conds[1],
        )
        for scale in (guider.cfg, BIG)
    )
    return (*mixed, "a note")


def predictions(model, monkeypatch, patched):
    """What the sampler is given at the first noise level: x0, and what a pack adds to it."""
    seen = []

    def look(model, noise, sigmas, extra_args=None, **options):
        seen.append(model.inner_model(noise, sigmas[:1], extra_args["model_options"], seed=1))
        return noise

    with monkeypatch.context() as patch, torch.inference_mode():
        if patched:
            patch.setattr(comfy.samplers.CFGGuider, "predict_noise", two_estimates)
        start = tiny.latent()["samples"]
        noise, sampler = comfy.sample.prepare_noise(start, 1), comfy.samplers.KSAMPLER(look)
        conds = tiny.cond(1), tiny.cond(2)
        comfy.sample.sample_custom(
            *(model, noise, 4.0, sampler, torch.tensor([3.0, 1.0]), *conds, start),
            disable_pbar=True,
            seed=1,
        )
    return seen[0]


@pytest.mark.parametrize("rule", RULES)
def test_both_estimates_take_the_step_and_the_rest_is_passed_on(rule, monkeypatch):
    model = tiny.unet()
    with torch.inference_mode():
        guided = guide.apply(model, [RULES[rule]])
    plain, plain_big, _ = predictions(model, monkeypatch, patched=True)
    first, second, note = predictions(guided, monkeypatch, patched=True)
    alone = predictions(guided, monkeypatch, patched=False)
    assert note == "a note"
    assert (plain_big - plain).abs().max() > 0.01
    torch.testing.assert_close(first, alone)
    torch.testing.assert_close(second - plain_big, alone - plain, rtol=1e-3, atol=1e-4)
    assert (alone - plain).abs().max() > 0.01


def test_where_no_rule_has_work_the_pair_is_untouched(monkeypatch):
    model = tiny.unet()
    with torch.inference_mode():
        guided = guide.apply(model, [Forward(probe.Nearness(), Constant(0.0))])
    plain = predictions(model, monkeypatch, patched=True)
    for one, other in zip(predictions(guided, monkeypatch, patched=True), plain, strict=True):
        assert one == other if isinstance(one, str) else torch.equal(one, other)
