"""Guided sampling through every door that the host has."""

from __future__ import annotations

import json
from pathlib import Path

import comfy.model_management
import comfy.sample
import comfy.samplers
import pytest
import torch
from comfy.patcher_extension import WrappersMP
from energy_guidance.guidance_core.attention.words import Word
from energy_guidance.guidance_core.energies.position import Position
from energy_guidance.guidance_core.rules.backward import Backward
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.latent_update import LatentUpdate
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.nodes.host import guide, recurrence, samplers
from energy_guidance.tests.host import probe, tiny

SAMPLERS = comfy.samplers.KSampler.SAMPLERS
PROMISED = json.loads(Path(__file__).with_name("contract.json").read_text(encoding="utf-8"))[
    "EGGuidedKSampler"
]["inputs"]["sampler_name"]["options"]
USUAL = ("euler", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_sde", "lcm", "uni_pc")
# These plan their own noise levels between the first and the last one.
SELF_PLANNED = ("dpm_fast", "dpm_adaptive")


@pytest.fixture(scope="module")
def model():
    return tiny.unet()


def forward(strength=1.0, start=0.0, end=1.0, **options):
    return Forward(probe.Nearness(**options), PercentWindow(start, end, value=strength))


def apply(model, *rules, **options):
    with torch.inference_mode():
        return guide.apply(model, rules, **options)


def frozen(model):
    """Everything that a run must leave as it was."""
    modules = list(model.model.modules())
    return (
        [id(p) for m in modules for p in m._parameters.values()],
        [id(b) for m in modules for b in m._buffers.values()],
        [sorted(vars(m)) for m in modules],
        [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules],
    )


# Further hosts need not repeat all that were there before them.
@pytest.mark.parametrize(
    "sampler",
    [
        pytest.param(name, marks=pytest.mark.once if name in set(PROMISED) - set(USUAL) else ())
        for name in SAMPLERS
    ],
)
def test_every_sampler_is_steered(model, sampler):
    guided = tiny.sample(apply(model, forward()), sampler=sampler, steps=3)
    plain = tiny.sample(model, sampler=sampler, steps=3)
    assert torch.isfinite(guided).all()
    assert not torch.equal(guided, plain)


@pytest.mark.once
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in SELF_PLANNED])
def test_every_sampler_takes_recurrences(model, sampler):
    result = resample(apply(model, forward()), sampler=sampler, recurrences=2)
    assert torch.isfinite(result["samples"]).all()


def resample(model, sampler="euler", steps=3, latent=None, denoise=1.0, **options):
    latent = tiny.latent(2) if latent is None else latent
    widgets = (steps, 4.0, sampler, "normal", denoise)
    with torch.inference_mode():
        plan = samplers.plan_of(model, tiny.cond(1), tiny.cond(2), *widgets)
        return samplers.sample(plan, sampler, 1, latent, **options)


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "euler_ancestral", "uni_pc"])
def test_strength_zero_gives_the_stock_bytes(model, sampler):
    guided = tiny.sample(apply(model, forward(0.0)), sampler=sampler, batch=2)
    assert torch.equal(guided, tiny.sample(model, sampler=sampler, batch=2))


def test_outside_its_window_a_step_is_the_stock_one(model):
    calls = calls_of(apply(model, forward(1.0, 0.5, 1.0)), steps=4)
    assert [graph for _, graph, _ in calls] == [False] * 2 + [False, True] * 2


def test_the_stock_ksampler_and_ours_give_the_same_bytes(model):
    for options in ({}, {"denoise": 0.5}):
        stock = tiny.sample(model, batch=2, steps=3, **options)
        assert torch.equal(resample(model, **options)["samples"], stock)


def test_same_seed_same_bytes(model):
    guided = apply(model, forward())
    results = [resample(guided, recurrences=2)["samples"] for _ in range(2)]
    assert torch.equal(*results)


def calls_of(guided, **options):
    look = probe.Plain()
    guided.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "look", look)
    tiny.sample(guided, **options)
    return look.calls


def test_only_the_positive_branch_carries_a_graph(model):
    calls = calls_of(apply(model, forward()), steps=1, batch=2)
    assert calls == [(2, False, (1,)), (2, True, (0,))]


def test_at_cfg_1_there_is_one_evaluation(model):
    calls = calls_of(apply(model, forward()), steps=1, cfg=1.0)
    assert calls == [(1, True, (0,))]


def test_rules_at_the_estimate_evaluate_as_the_host_does(model):
    rule = Backward(probe.Nearness(), PercentWindow(value=1.0), steps=2)
    assert calls_of(apply(model, rule), steps=1) == [(2, False, (1, 0))]


def test_while_the_latent_moves_for_attention_the_negative_branch_rests(model):
    update = lambda energy: LatentUpdate(energy, PercentWindow(value=0.5), iterations=2)
    rest = calls_of(apply(model, update(Position((Word("red", (2,)),), (0.3, 0.7)))), steps=1)
    assert rest == [(1, True, (0,))] * 2 + [(2, False, (1, 0))]
    work = calls_of(apply(model, update(probe.Nearness())), steps=1)
    assert work == [(1, False, (1,)), (1, True, (0,))] * 2 + [(2, False, (1, 0))]


def test_rules_joined_by_applying_twice_share_one_evaluation(model):
    twice = apply(apply(model, forward(0.5)), forward(0.5))
    assert len(calls_of(twice, steps=1)) == 2


def test_samples_of_a_batch_do_not_mix(model):
    guided = apply(model, forward())
    both = tiny.sample(guided, batch=2)
    alone = tiny.sample(guided, batch=1)
    torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=1e-4)


def test_advanced_sampler_continues_where_it_stopped(model):
    guided = apply(model, forward())
    whole = tiny.sample(guided, steps=4)
    half = tiny.sample(guided, steps=4, last_step=2)
    # The latent between two samplers is scaled out and in again.
    rest = tiny.sample(guided, steps=4, start_step=2, latent=half, disable_noise=True)
    assert torch.isfinite(rest).all()
    assert not torch.equal(whole, half)


def test_custom_guider_and_sampler(model):
    guided = apply(model, forward())
    guider = comfy.samplers.CFGGuider(guided)
    with torch.inference_mode():
        guider.set_conds(tiny.cond(1), tiny.cond(2))
        guider.set_cfg(4.0)
        latent = tiny.latent()["samples"]
        noise = comfy.sample.prepare_noise(latent, 1)
        plan = comfy.samplers.KSampler(guided, 2, guided.load_device, "euler", "normal", 1.0, {})
        euler = comfy.samplers.sampler_object("euler")
        result = guider.sample(noise, latent, euler, plan.sigmas, seed=1, disable_pbar=True)
    torch.testing.assert_close(result, tiny.sample(guided, steps=2))


def test_the_model_is_as_it_was_after_a_run(model):
    before = frozen(model)
    tiny.sample(apply(model, forward()))
    assert frozen(model) == before


class Broken(probe.Nearness):
    error: BaseException = RuntimeError("broken")

    def __call__(self, estimate):
        raise self.error


@pytest.mark.parametrize(
    "error", [RuntimeError("broken"), comfy.model_management.InterruptProcessingException()]
)
def test_the_model_is_as_it_was_after_an_error(model, error):
    before = frozen(model)
    energy = Broken()
    object.__setattr__(energy, "error", error)
    guided = apply(model, Forward(energy, PercentWindow()))
    with pytest.raises(type(error)):
        tiny.sample(guided)
    assert frozen(model) == before
    assert torch.isfinite(tiny.sample(model)).all()


def test_cancel_stops_within_one_evaluation(model):
    calls = []

    def cancel(record):
        calls.append(record)
        comfy.model_management.interrupt_current_processing()

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        tiny.sample(apply(model, forward(), trace=cancel), steps=5)
    assert len(calls) == 1


def test_running_out_of_memory_names_settings(model):
    energy = Broken()
    object.__setattr__(energy, "error", torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.OutOfMemoryError, match="smaller latent size") as caught:
        tiny.sample(apply(model, Forward(energy, PercentWindow())))
    assert "taesd" in str(caught.value)


def test_clones_for_other_devices_are_left_out(model):
    seen = []

    def look(executor, x, sigma, options, seed=None):
        seen.append("multigpu_clones" in options)
        return executor(x, sigma, {**options, "multigpu_clones": {}}, seed)

    def last(executor, net, conds, x, sigma, options):
        seen.append("multigpu_clones" in options)
        return executor(net, conds, x, sigma, options)

    other = model.clone()
    other.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, "look", look)
    guided = apply(other, forward())
    guided.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "last", last)
    tiny.sample(guided, steps=1)
    assert seen == [False, False, False]


def test_guide_networks_are_loaded_by_the_host(model):
    network = torch.nn.Conv2d(4, 4, 1)
    guided = apply(model, forward(networks=(network,)))
    patchers = guided.get_additional_models_with_key("energy_guidance")
    assert [patcher.model for patcher in patchers] == [network]
    assert torch.isfinite(tiny.sample(guided)).all()


def test_the_host_is_asked_for_the_memory_of_the_backward_pass(model):
    shapes = []

    def look(executor, patcher, noise_shape, *args, **kwargs):
        shapes.append(list(noise_shape))
        return executor(patcher, noise_shape, *args, **kwargs)

    for rule in (forward(), Backward(probe.Nearness(), PercentWindow())):
        guided = apply(model, rule)
        guided.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, "look", look)
        tiny.sample(guided, steps=1)
    assert shapes[0][0] > 1
    assert shapes[1][0] == 1


def test_recurrence_is_counted_and_reported(model):
    steps = []
    sampler = recurrence.recurrent_sampler(comfy.samplers.sampler_object("euler"), 3)
    with torch.inference_mode():
        latent = tiny.latent()["samples"]
        comfy.sample.sample_custom(
            model,
            torch.ones_like(latent),
            4.0,
            sampler,
            torch.tensor([10.0, 5.0, 0.0]),
            tiny.cond(1),
            tiny.cond(2),
            latent,
            disable_pbar=True,
            seed=3,
            callback=lambda step, x0, x, total: steps.append((step, total)),
        )
    assert steps == [(step, 6) for step in range(6)]


def test_recurrence_leaves_steps_outside_its_window_alone(model):
    whole = recurrence.recurrent_sampler(
        comfy.samplers.sampler_object("euler"), 2, PercentWindow(0.0, 0.5)
    )
    sigmas = torch.tensor([14.0, 0.3, 0.1, 0.0])
    assert whole.total(model.get_model_object("model_sampling"), sigmas) == 4


@pytest.mark.parametrize("value", [0, -1])
def test_recurrences_below_one_are_refused(value):
    with pytest.raises(ValueError, match="recurrences must be >= 1"):
        recurrence.recurrent_sampler(comfy.samplers.sampler_object("euler"), value)
