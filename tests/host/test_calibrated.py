"""The calibrated scale through the node, on the embedded model and its VAE."""

from __future__ import annotations

import functools

import comfy.sample
import torch
from energy_guidance.guidance_core.energies.color import MeanColor
from energy_guidance.guidance_core.energies.measurement import Measurement
from energy_guidance.guidance_core.energies.weighted_sum import WeightedSum
from energy_guidance.guidance_core.image.degradations import Shrink
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.guidance_core.trace import Trace
from energy_guidance.nodes.host import guide, shapes
from energy_guidance.nodes.rules.forward import RuleForward

RED = WeightedSum(((100.0, MeanColor(torch.tensor([0.9, 0.1, 0.1]))),))
SMALL = Measurement(torch.full((1, 3, 32, 32), 0.3), Shrink(4, "box"), noise=0.05)
loaded = functools.cache(shapes.load)


def rule(energy, strength=1.0):
    return RuleForward.execute(energy, strength, "calibrated", 0.0).args[0]


def sampled(*rules, batch=1, steps=2, trace=None):
    with torch.inference_mode():
        model, clip, vae = loaded()
        conds = [clip.encode_from_tokens_scheduled(clip.tokenize("a circle"))] * 2
        latent = torch.zeros(batch, 4, 16, 16)
        noise = comfy.sample.prepare_noise(latent, 5)
        guided = guide.apply(model, rules, vae=vae, trace=trace) if rules else model
        samples = comfy.sample.sample(
            guided, noise, steps, 1.0, "euler", "normal", *conds, latent, seed=5
        )
        return samples.clone(), vae.decode(samples).movedim(-1, 1).clone()


def test_draws_steer_and_strength_0_is_bit_identical():
    plain, _ = sampled()
    trace = Trace()
    guided, _ = sampled(rule(RED), trace=trace)
    assert guided.isfinite().all()
    assert len(trace.rows) == 2  # over the whole noise schedule
    assert not torch.equal(guided, plain)
    assert torch.equal(sampled(rule(RED, 0.0))[0], plain)


def test_a_measurement_never_raises_the_residual_and_strength_0_is_bit_identical():
    """The small model's derivative is far from a covariance: steps exploded before."""
    plain, image = sampled(batch=3, steps=3)
    _, moved = sampled(rule(SMALL), batch=3, steps=3)
    now, before = (SMALL.residual(seen).square().mean((1, 2, 3)) for seen in (moved, image))
    assert (now <= before + 1e-5).all()
    assert now.mean() < 0.97 * before.mean()
    assert torch.equal(sampled(rule(SMALL, 0.0), batch=3, steps=3)[0], plain)


def test_draws_of_a_sample_alone_are_counted_in_the_hosts_estimate_of_memory():
    guidance = guide.Guidance((rule(RED),))
    assert (guidance.decoded(1), guidance.decoded(2)) == (4, 2)
    assert guide.Guidance((rule(SMALL),)).decoded(1) == 1


def test_it_acts_when_a_schedule_says_and_else_always():
    window = PercentWindow(0.2, 0.4)
    given = RuleForward.execute(RED, 1.0, "calibrated", 0.0, window).args[0]
    assert given.strength.schedule is window
    assert rule(RED).strength.schedule == PercentWindow(0.0, 1.0)
