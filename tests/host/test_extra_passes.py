"""Packs that evaluate the model again, before CFG, around it or after it: rules see the branches
that CFG was given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import comfy.model_patcher
import comfy.sample
import comfy.samplers
import pytest
import torch
from comfy.patcher_extension import WrappersMP
from comfy_extras.nodes_pag import PerturbedAttentionGuidance
from energy_guidance.guidance_core.captures import Attention, Features
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.host import guide
from energy_guidance.tests.host import probe, tiny
from energy_guidance.tests.host.test_samplers import Nudge

pytestmark = pytest.mark.once

REQUESTS = frozenset([Attention((1, 4), "all"), Features("all")])


def perturbed(options):
    """Options whose middle block attends to itself alone, as in PAG."""
    return comfy.model_patcher.set_model_options_patch_replace(
        options.copy(), lambda q, k, v, extra, mask=None: v, "attn1", "middle", 0
    )


def apart(weak, strong):
    """What PAG makes of a branch."""
    return strong + 3.0 * (strong - weak)


def host_pag(model):
    return PerturbedAttentionGuidance.execute(model, 3.0).result[0]


def evaluate(args, conds, options):
    return comfy.samplers.calc_cond_batch(
        args["model"], conds, args["input"], args["sigma"], options
    )


def before_cfg(model):
    def change(args):
        weak = evaluate(args, args["conds"], perturbed(args["model_options"]))
        return [apart(one, two) for one, two in zip(weak, args["conds_out"], strict=True)]

    model = model.clone()
    model.set_model_sampler_pre_cfg_function(change)
    return model


def perturbed_first(model):
    """Both passes in place of the host's, the changed one first; CFG is given the other."""

    def both(args):
        evaluate(args, args["conds"], perturbed(args["model_options"]))
        return evaluate(args, args["conds"], args["model_options"])

    model = model.clone()
    model.set_model_sampler_calc_cond_batch_function(both)
    return model


def branch_by_branch(model):
    """As Skip Layer Guidance Simple evaluates: each branch in a call of its own."""

    def each(args):
        cond, uncond = args["conds"]
        first, _ = evaluate(args, [cond, None], args["model_options"])
        _, second = evaluate(args, [None, uncond], args["model_options"].copy())
        return [first, second]

    model = model.clone()
    model.set_model_sampler_calc_cond_batch_function(each)
    return model


def in_a_wrapper(model):
    def twice(executor, inner, conds, x, sigma, options):
        outputs = executor(inner, conds, x, sigma, options)
        executor(inner, conds, x, sigma, perturbed(options))
        return outputs

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "another pack", twice)
    return model


PACKS = {
    "PAG": host_pag,
    "before CFG": before_cfg,
    "perturbed first": perturbed_first,
    "branch by branch": branch_by_branch,
    "wrapper": in_a_wrapper,
}
EACH = pytest.mark.parametrize("pack", PACKS)


@dataclass(frozen=True)
class Seeing:
    """A rule that keeps the estimate, evaluated with a graph or without."""

    seen: Any
    graph: bool
    captures: frozenset = REQUESTS
    strength: Any = field(default_factory=Constant)
    through_model: ClassVar[bool] = True

    def __call__(self, denoise, x, sigma, run):
        with torch.set_grad_enabled(self.graph):
            estimate = denoise(x.detach().requires_grad_(self.graph), sigma)
        self.seen(estimate.detached())
        return estimate


def seen(model, graph, **options):
    estimates = []
    with torch.inference_mode():
        guided = guide.apply(model, [Seeing(estimates.append, graph)])
        tiny.sample(guided, **{"steps": 1, **options})
    (estimate,) = estimates
    return estimate


@EACH
@pytest.mark.everywhere
@pytest.mark.parametrize("graph", [False, True], ids=["plain", "graph"])
def test_rules_see_the_branches_and_captures_of_the_pass_that_cfg_was_given(pack, graph):
    model = tiny.unet()
    with torch.inference_mode():
        patched = PACKS[pack](model)
    plain, with_pack = seen(model, graph), seen(patched, graph)
    torch.testing.assert_close(with_pack.cond, plain.cond, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(with_pack.uncond, plain.uncond, rtol=1e-4, atol=1e-4)
    for request in REQUESTS:
        for one, two in zip(with_pack.captures[request], plain.captures[request], strict=True):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
    if pack in ("PAG", "before CFG"):
        assert (with_pack.x0 - plain.x0).norm() > 0.01 * plain.x0.norm()
    else:
        torch.testing.assert_close(with_pack.x0, plain.x0, rtol=1e-4, atol=1e-4)


def slopes(model, cfg):
    records = []
    with torch.inference_mode():
        guided = guide.apply(model, [probe.Slopes()], trace=records.append)
        tiny.sample(guided, steps=1, cfg=cfg)
    return records[0]


@EACH
def test_the_derivative_goes_through_every_pass(pack):
    with torch.inference_mode():
        patched = PACKS[pack](tiny.unet())
    probe.agree(slopes(patched, 1.0))


@pytest.mark.parametrize("pack", ["perturbed first", "branch by branch", "wrapper"])
def test_passes_that_cfg_is_not_given_leave_the_gradient_above_cfg_1_alone(pack):
    model = tiny.unet()
    with torch.inference_mode():
        patched = PACKS[pack](model)
    with_pack, plain = slopes(patched, 4.0), slopes(model, 4.0)
    torch.testing.assert_close(with_pack.terms["grad"], plain.terms["grad"])


@EACH
def test_scale_cfg_measures_the_guiders_own_step(pack):
    model, records = tiny.unet(), []
    with torch.inference_mode():
        patched = PACKS[pack](model)
        rule = Forward(probe.Nearness(), Constant(0.5), scale="cfg")
        tiny.sample(guide.apply(patched, [rule], trace=records.append), steps=1)
    estimate = seen(patched, graph=False)
    expected = (estimate.x0 - estimate.uncond).square().mean().sqrt()
    torch.testing.assert_close(records[0].cfg_push, expected[None])
    torch.testing.assert_close(records[0].push, 0.5 * expected[None])


@EACH
@pytest.mark.parametrize("sampler", ["euler", "euler_cfg_pp"])
def test_a_step_moves_the_latent_by_the_samplers_share(pack, sampler):
    model, sigmas = tiny.unet(), torch.tensor([8.0, 5.0])
    results = []
    with torch.inference_mode():
        patched = PACKS[pack](model)
        start = tiny.latent()["samples"]
        for host in (patched, guide.apply(patched, [Nudge()])):
            noise = comfy.sample.prepare_noise(start, 1)
            results.append(
                comfy.sample.sample_custom(
                    *(host, noise, 1.5, comfy.samplers.sampler_object(sampler), sigmas),
                    *(tiny.cond(1), tiny.cond(2), start),
                    disable_pbar=True,
                    seed=1,
                )
            )
    moved = (results[1] - results[0]) * model.model.latent_format.scale_factor
    expected = torch.full_like(moved, 0.1 * (1 - 5 / 8))
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-5)
