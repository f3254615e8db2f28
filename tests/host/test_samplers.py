"""Guidance keeps each sampler's own accuracy, and rules that follow the step know the step."""

from __future__ import annotations

import comfy.sample
import comfy.samplers
import pytest
import torch
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.manifold import Manifold
from energy_guidance.guidance_core.rules.posterior import Posterior
from energy_guidance.guidance_core.rules.unified import Unified
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.nodes.host import guide, recurrence, steps
from energy_guidance.tests.host import exact, probe, tiny

# Far from where the model can go: a push of normalised size has no direction at its target.
FAR = probe.Nearness(20.0)


@pytest.fixture(scope="module")
def models():
    return {flow: exact.model(flow) for flow in (False, True)}


def apply(model, *rules, **options):
    with torch.inference_mode():
        return guide.apply(model, rules, **options)


def run(model, sampler, count, top=8.0, cfg=1.0):
    """Sample along a geometric schedule that stops just above 0: no last step of first order."""
    sigmas = torch.logspace(0, -2, count + 1) * top
    latent = tiny.latent(size=4)["samples"]
    with torch.inference_mode():
        chosen = sampler if hasattr(sampler, "sample") else comfy.samplers.sampler_object(sampler)
        conds = tiny.cond(1), tiny.cond(2)
        return comfy.sample.sample_custom(
            *(model, noise(), cfg, chosen, sigmas, *conds, latent), disable_pbar=True, seed=1
        )


def noise():
    return torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1))


def far(one, other):
    return float((one - other).square().mean().sqrt())


SMOOTH = {
    "forward": Forward(FAR, PercentWindow(value=0.5)),
    "manifold": Manifold(FAR, PercentWindow(value=0.5)),
    "unified": Unified(FAR, PercentWindow(value=0.3)),
}
MULTISTEP = ("dpmpp_2m", "uni_pc", "lms", "res_multistep", "deis")


@pytest.mark.once
@pytest.mark.parametrize("name", SMOOTH)
def test_samplers_with_a_memory_stay_more_accurate_than_euler(models, name):
    guided = apply(models[False], SMOOTH[name])
    truth = run(guided, "euler", 200)
    euler = far(run(guided, "euler", 12), truth)
    errors = {sampler: far(run(guided, sampler, 12), truth) for sampler in MULTISTEP}
    assert all(error < euler for error in errors.values()), (euler, errors)


class Nudge:
    """Adds a constant to x0."""

    through_model = False

    def __call__(self, denoise, x, sigma, run):
        return denoise(x, sigma).moved(torch.full_like(x, 0.1))


ONE_STEP = (
    *("euler", "ddim", "euler_ancestral", "lcm", "euler_cfg_pp"),
    *("ddpm", "euler_ancestral_cfg_pp"),
)


@pytest.mark.parametrize("flow", [False, True], ids=["edm", "flow"])
@pytest.mark.parametrize("name", ONE_STEP)
def test_share_is_what_a_step_carries_on(models, name, flow):
    """Also for CFG++ samplers, because their unconditional estimate follows the guidance."""
    sampler, sigmas = comfy.samplers.sampler_object(name), torch.tensor([0.8, 0.5])
    share = steps.share_of(sampler, sigmas, flow)
    if name in ONE_STEP[-2:] and flow:
        assert share is None
        return
    model = models[flow]
    results = []
    for host in (model, apply(model, Nudge())):
        with torch.inference_mode():
            latent = tiny.latent(size=4)["samples"]
            conds = tiny.cond(1), tiny.cond(2)
            results.append(
                comfy.sample.sample_custom(
                    *(host, noise(), 1.5, sampler, sigmas, *conds, latent),
                    disable_pbar=True,
                    seed=1,
                )
            )
    out = model.model.latent_format.scale_factor * (0.5 if flow else 1.0)
    moved = (results[1] - results[0]) * out
    torch.testing.assert_close(moved, torch.full_like(moved, 0.1 * share(0.8, 0.5)))


FOLLOWING = {
    "manifold": Manifold(FAR, PercentWindow(value=0.01), "absolute"),
    "posterior": Posterior(FAR, PercentWindow(value=0.01), "absolute"),
    "spherical": Posterior(FAR, PercentWindow(value=0.2), "spherical"),
    "unified": Unified(FAR, PercentWindow(value=0.01), "absolute"),
}


@pytest.mark.parametrize("name", FOLLOWING)
def test_rules_that_follow_the_step_are_refused_before_the_first_call(models, name):
    calls = []
    guided = apply(models[False], FOLLOWING[name], trace=calls.append)
    kind = type(FOLLOWING[name]).__name__
    for sampler in ("dpmpp_2m", "heun", "dpmpp_sde"):
        with pytest.raises(ValueError, match=f"{kind} with sampler sample_{sampler}: .* euler"):
            run(guided, sampler, 3)
    assert not calls
    assert run(guided, "euler", 3).isfinite().all()


@pytest.mark.parametrize("sampler", ["euler_ancestral", "ddpm", "lcm", "euler_cfg_pp"])
def test_spherical_refuses_samplers_with_noise_of_their_own(models, sampler):
    guided = apply(models[False], FOLLOWING["spherical"])
    with pytest.raises(
        ValueError, match=f"Posterior with sampler sample_{sampler}: .*euler or ddim"
    ):
        run(guided, sampler, 3)
    assert run(guided, "ddim", 3).isfinite().all()


def rising(*levels: float):
    return torch.tensor(levels)


def test_churn_and_rising_noise_levels_have_no_share():
    sampler_object = comfy.samplers.sampler_object
    falling, restart = rising(8, 4, 2, 0), rising(8, 4, 2, 4, 2, 0)
    assert steps.share_of(sampler_object("euler"), falling, False)(8.0, 4.0) == 0.5
    assert steps.share_of(sampler_object("euler"), restart, False) is None
    churned = comfy.samplers.ksampler("euler", {"s_churn": 3.0})
    assert steps.share_of(churned, falling, False) is None
    half = comfy.samplers.ksampler("euler_ancestral", {"eta": 0.0})
    assert steps.share_of(half, falling, False)(8.0, 4.0) == pytest.approx(0.5)
    recurrent = recurrence.recurrent_sampler(sampler_object("euler"), 2)
    assert steps.share_of(recurrent, falling, False)(8.0, 4.0) == 0.5


@pytest.mark.parametrize("name", SMOOTH)
def test_churn_and_restarts_do_not_confuse_relative_rules(models, name):
    """A restart to a level seen before is guided as that level was, and churn by its own level."""
    rule = SMOOTH[name]
    churned = comfy.samplers.ksampler("euler", {"s_churn": 2.0})
    assert run(apply(models[False], rule), churned, 4).isfinite().all()
    trace = []
    guided = apply(models[False], rule, trace=trace.append)
    with torch.inference_mode():
        sampler = comfy.samplers.sampler_object("euler")
        latent = tiny.latent(size=4)["samples"]
        comfy.sample.sample_custom(
            *(guided, noise(), 1.0, sampler, rising(4, 2, 1, 2, 1, 0.5)),
            *(tiny.cond(1), tiny.cond(2), latent),
            disable_pbar=True,
            seed=1,
        )
    pushes = {}
    for record in trace:
        pushes.setdefault(round(record.sigma, 4), []).append(float(record.push[0]))
    assert [len(pushes[sigma]) for sigma in (4, 2, 1)] == [1, 2, 2]
    for sigma in (2, 1):
        assert pushes[sigma][0] == pytest.approx(pushes[sigma][1], rel=0.05)


@pytest.mark.parametrize("sampler", ["dpmpp_2m_cfg_pp", "res_multistep_cfg_pp", "euler_cfg_pp"])
def test_a_push_is_as_strong_in_cfg_plus_plus_as_in_the_sampler_itself(models, sampler):
    """At CFG 1 both estimates are the same, and CFG++ is its plain sampler."""
    rule = Forward(FAR, PercentWindow(value=0.5))
    guided = apply(models[False], rule)
    same = tiny.cond(1)
    latent = tiny.latent(size=4)["samples"]
    sigmas = torch.logspace(0, -1, 5) * 4.0
    results = []
    for name in (sampler, sampler.removesuffix("_cfg_pp")):
        with torch.inference_mode():
            chosen = comfy.samplers.sampler_object(name)
            results.append(
                comfy.sample.sample_custom(
                    *(guided, noise(), 1.0, chosen, sigmas, same, same, latent),
                    disable_pbar=True,
                    seed=1,
                )
            )
    assert far(*results) < 0.05 * far(results[0], run(models[False], "euler", 4, top=4.0))


@pytest.mark.parametrize("name", ["uni_pc", "uni_pc_bh2", "dpmpp_2m", "res_multistep"])
def test_samplers_with_a_memory_recur_step_by_step_as_euler_does(models, name):
    """Their first step is Euler's, and a repeated step is always a first one."""
    sigmas = torch.logspace(0, -1, 5) * 4.0
    latent = tiny.latent(size=4)["samples"]
    results = []
    for one in (name, "euler"):
        with torch.inference_mode():
            sampler = recurrence.recurrent_sampler(comfy.samplers.sampler_object(one), 2)
            results.append(
                comfy.sample.sample_custom(
                    *(models[False], noise(), 1.0, sampler, sigmas, tiny.cond(1), tiny.cond(2)),
                    latent,
                    disable_pbar=True,
                    seed=1,
                )
            )
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-3)
