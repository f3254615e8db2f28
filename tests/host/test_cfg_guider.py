"""CFG in either convention and inside a window, through the host."""

from __future__ import annotations

import comfy.sample
import comfy.samplers
import pytest
import torch
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant, PercentWindow
from energy_guidance.nodes.host import cfg_guider, guide
from energy_guidance.nodes.sampling.cfg_guider import CFGGuider
from energy_guidance.tests.host import exact, probe, tiny

STEPS = 4
WHOLE = PercentWindow(0.0, 1.0)


def painted(model, guider, sampler="euler"):
    """What SamplerCustomAdvanced makes with a guider."""
    with torch.inference_mode():
        start = tiny.latent(2)["samples"]
        stock = comfy.samplers.KSampler(model, STEPS, model.load_device, sampler, "normal", 1.0, {})
        solver = comfy.samplers.sampler_object(sampler)
        noise = comfy.sample.prepare_noise(start, 3)
        return guider.sample(noise, start, solver, stock.sigmas, disable_pbar=True, seed=3)


def ours(model, scale, convention="gamma", start=0.0, end=1.0):
    with torch.inference_mode():
        prompts = (tiny.cond(1), tiny.cond(2))
        return CFGGuider.execute(model, *prompts, scale, convention, start, end).args[0]


def stock(model, cfg):
    with torch.inference_mode():
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(tiny.cond(1), tiny.cond(2))
        guider.set_cfg(cfg)
        return guider


def rows(model):
    """A clone of a MODEL, and a list of how many rows each call of its network has."""
    seen, clone = [], model.clone()

    def counted(apply, args):
        seen.append(len(args["input"]))
        return apply(args["input"], args["timestep"], **args["c"])

    clone.set_model_unet_function_wrapper(counted)
    return clone, seen


@pytest.mark.parametrize("kind", ["eps", "v", "flow"])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m"])
def test_the_whole_window_is_the_hosts_own_bit_for_bit(kind, sampler):
    model = tiny.unet(kind)
    for cfg in (0.5, 1.0, 4.0):
        plain = painted(model, stock(model, cfg), sampler)
        assert torch.equal(painted(model, ours(model, cfg), sampler), plain)
        assert torch.equal(painted(model, ours(model, cfg - 1, "w"), sampler), plain)


def test_outside_of_the_window_the_negative_branch_is_not_evaluated():
    model, seen = rows(tiny.unet())
    guider = ours(model, 4.0, start=0.3, end=0.7)
    painted(model, guider)
    # Four steps at 0, 1/3, 2/3 and 1 of the schedule, a batch of two.
    assert seen == [2, 4, 4, 2]
    assert guider.cfg == 4.0


def test_outside_of_the_window_the_conditional_estimate_alone_is_used():
    model = tiny.unet()
    late = painted(model, ours(model, 7.0, start=0.9999, end=1.0))
    assert not torch.equal(late, painted(model, stock(model, 7.0)))
    nowhere = cfg_guider.cfg_guider(model, tiny.cond(1), tiny.cond(2), 7.0, WHOLE)
    nowhere._strength = lambda sigma: 0.0
    assert torch.equal(painted(model, nowhere), painted(model, stock(model, 1.0)))


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize(("scale", "convention"), [(0.3, "gamma"), (2.5, "w")])
def test_the_estimate_points_to_the_tempered_density(flow, scale, convention):
    model = exact.model(flow)
    answers = []

    def look(network, noise, sigmas, extra_args=None, **options):
        levels = sigmas[:1].expand(len(noise))
        x0 = network.inner_model(noise, levels, extra_args["model_options"], seed=1)
        answers.append((noise.clone(), float(sigmas[0]), x0.clone()))
        return noise

    guider = ours(model, scale, convention)
    with torch.inference_mode():
        start = tiny.latent(2, 2)["samples"]
        sigmas = torch.tensor([0.7, 0.0])
        noise = comfy.sample.prepare_noise(start, 5)
        guider.sample(noise, start, comfy.samplers.KSAMPLER(look), sigmas, disable_pbar=True)
    (x, sigma, x0) = answers[0]
    alpha = 1 - sigma if flow else 1.0
    gamma = scale + (convention == "w")
    there = x.clone().double().requires_grad_()
    spread = alpha**2 * exact.VARIANCE + sigma**2

    def log_density(cond):
        shift = 0.3 * float(cond[0][0].mean())
        hills = [
            -0.5 * (there - alpha * (shift + side)).square().flatten(1).sum(1) / spread
            for side in (exact.SPREAD, -exact.SPREAD)
        ]
        return torch.stack(hills).logsumexp(0)

    log = gamma * log_density(tiny.cond(1)) + (1 - gamma) * log_density(tiny.cond(2))
    (score,) = torch.autograd.grad(log.sum(), there)
    torch.testing.assert_close(
        (alpha * x0.double() - x.double()) / sigma**2, score, rtol=1e-4, atol=1e-4
    )


def test_guidance_acts_under_it_as_under_the_hosts():
    guided = guide.apply(tiny.unet(), [Forward(probe.Nearness(), Constant(0.5))])
    plain = painted(guided, stock(guided, 4.0))
    assert torch.equal(painted(guided, ours(guided, 4.0)), plain)
    windowed = painted(guided, ours(guided, 4.0, end=0.5))
    assert torch.isfinite(windowed).all()
    assert not torch.equal(windowed, plain)


def test_impossible_widgets_are_refused():
    with pytest.raises(ValueError, match="at least 0"):
        ours(tiny.unet(), -0.5)
    assert "smaller" in str(CFGGuider.validate_inputs(start_percent=0.5, end_percent=0.2))
    assert CFGGuider.validate_inputs(start_percent=0.0, end_percent=1.0) is True
