"""Rules that act at some steps only: the steps of real samplers, and what the others cost."""

from __future__ import annotations

import inspect

import comfy.sample
import comfy.samplers
import pytest
import torch
from comfy.patcher_extension import WrappersMP
from energy_guidance.guidance_core.schedules import EveryNth, PercentWindow, WhenMoved
from energy_guidance.nodes.host import guide
from energy_guidance.nodes.host.recurrence import recurrent_sampler
from energy_guidance.nodes.rules.backward import RuleBackward
from energy_guidance.nodes.rules.forward import RuleForward
from energy_guidance.nodes.rules.latent_update import RuleLatentUpdate
from energy_guidance.nodes.rules.manifold import RuleManifold
from energy_guidance.nodes.rules.posterior import RulePosterior
from energy_guidance.nodes.rules.unified import RuleUnified
from energy_guidance.tests.host import probe, tiny

pytestmark = pytest.mark.once

NODES = (RuleForward, RuleBackward, RuleManifold, RulePosterior, RuleUnified, RuleLatentUpdate)
WHOLE = PercentWindow()


@pytest.fixture(scope="module")
def model():
    return tiny.unet()


def built(node, **changes):
    """The rule of a node with its default widgets, over the whole of the run."""
    widgets = {i.id: getattr(i, "default", None) for i in node.define_schema().inputs}
    values = {**widgets, "energy": probe.Nearness(20.0), "schedule": WHOLE, **changes}
    return node.execute(**values).args[0]


def seen(model, rule, steps=4, sampler="euler"):
    """By noise level of the run: (evaluations of the network, backward passes through it)."""
    calls = {}

    def look(executor, x, sigma, *args, **kwargs):
        back = []
        calls.setdefault(float(sigma[0]), []).append(back)
        result = executor(x, sigma, *args, **kwargs)
        if result.requires_grad:
            result.register_hook(lambda grad: back.append(1))
        return result

    sample(model, [rule], sampler, steps, look=look)
    return [(len(backs), sum(map(len, backs))) for backs in calls.values()]


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)
def test_the_widget_comes_last_and_changes_nothing_at_1(node):
    inputs = node.define_schema().inputs
    assert [i.id for i in inputs] == list(inspect.signature(node.execute).parameters)
    assert isinstance(built(node, every=2).strength.schedule, EveryNth)
    assert built(node, every=1) == built(node)
    assert built(node).strength.schedule is WHOLE


THROUGH = {"RuleForward": (1, 1), "RulePosterior": (1, 1), "RuleUnified": (1, 1)}


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)
def test_only_the_steps_that_count_pay(model, node):
    guided = {**THROUGH, "RuleLatentUpdate": (2, 1)}.get(node.__name__, (1, 0))
    assert seen(model, built(node, every=3), steps=5) == [guided, (1, 0), (1, 0), guided, (1, 0)]


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)
def test_only_the_steps_where_the_estimate_moved_pay(model, node):
    # A step that counts is evaluated once more where the rule looks at the moved latent.
    guided = {**THROUGH, "RuleLatentUpdate": (3, 1)}.get(node.__name__, (1, 0))
    assert seen(model, built(node, moved=1e6), steps=3) == [guided, (1, 0), (1, 0)]
    assert seen(model, built(node, moved=1e-9), steps=2) == [guided, guided]
    assert isinstance(built(node, moved=0.2).strength.schedule, WhenMoved)


def test_two_evaluations_of_one_step_and_its_repetitions_count_once(model):
    forward = built(RuleForward, every=2)
    # Heun looks at the lower level of a step too, which is where the next one begins.
    assert seen(model, forward, sampler="heun") == [(1, 1), (2, 0), (2, 2), (2, 0)]
    # DPM2 looks between the two, which belongs to the step.
    assert seen(model, forward, sampler="dpm_2", steps=3) == [(1, 1)] * 2 + [(1, 0)] * 2 + [(1, 1)]
    twice = recurrent_sampler(comfy.samplers.sampler_object("euler"), 2)
    assert seen(model, forward, sampler=twice) == [(2, 2), (2, 0), (2, 2), (2, 0)]


def test_the_first_step_of_the_window_is_guided(model):
    late = built(RuleForward, every=2, schedule=PercentWindow(0.35, 1.0))
    passes = [back for _, back in seen(model, late, steps=6)]
    assert passes == [0, 0, 1, 0, 1, 0]


@pytest.mark.everywhere
@pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)
def test_a_step_between_is_bit_identical_to_the_stock_step(model, node):
    stock, guided = (estimates(model, rules) for rules in ([], [built(node, every=2)]))
    same = [torch.equal(one, other) for one, other in zip(stock, guided, strict=True)]
    assert same == [False, True, False, True]


def estimates(model, rules):
    """What the sampler gets at each noise level, for one x, above CFG 1."""
    found = []

    def look(denoise, x, sigmas, extra_args=None, **options):
        for sigma in sigmas[:-1]:
            found.append(denoise(sigma * x / sigmas[0], sigma.expand(len(x)), **extra_args))
        return x

    sample(model, rules, comfy.samplers.KSAMPLER(look), 4, cfg=4.0)
    return found


def sample(model, rules, sampler, steps, cfg=1.0, look=None):
    with torch.inference_mode():
        guided = guide.apply(model, rules) if rules else model.clone()
        if look is not None:
            guided.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "look", look)
        sigmas = comfy.samplers.calculate_sigmas(
            model.get_model_object("model_sampling"), "normal", steps
        )
        chosen = sampler if hasattr(sampler, "sample") else comfy.samplers.sampler_object(sampler)
        latent = tiny.latent()["samples"]
        noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(1))
        comfy.sample.sample_custom(
            *(guided, noise, cfg, chosen, sigmas, tiny.cond(1), tiny.cond(2), latent),
            disable_pbar=True,
            seed=1,
        )
