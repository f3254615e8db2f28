"""A sample taken out of its batch, as LatentFromBatch, fixed batch seeds and rebatching take it, is
the sample that it was in the batch."""

from __future__ import annotations

import comfy.sample
import comfy.samplers
import pytest
import torch
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.host import guide, recurrence, samplers
from energy_guidance.nodes.host.batch_numbers import batch_numbers
from energy_guidance.tests.host import probe, tiny

SEED = 5
TAKEN = {"last": [2], "fixed": [1, 1, 1], "rebatched": [2, 0], "far": [3, 2]}


class Noisy:
    """Adds seeded noise to x0."""

    through_model = False

    def __call__(self, denoise, x, sigma, run):
        return denoise(x, sigma).moved(0.1 * run.noise(x, float(sigma[0])))


RULES = {"forward": Forward(probe.Nearness(), Constant(0.5)), "noisy": Noisy()}


def rows(index):
    """As LatentFromBatch leaves it: the samples, and which of the batch they are."""
    return {"samples": torch.zeros(len(index), 4, 8, 8), "batch_index": list(index)}


def by_our_node(model, latent, recurrences):
    plan = samplers.plan_of(model, tiny.cond(1), tiny.cond(2), 2, 4.0, "euler", "normal")
    return samplers.sample(plan, "euler", SEED, latent, recurrences)["samples"]


def by_a_sampler(model, latent, recurrences):
    """As SamplerCustomAdvanced with RandomNoise: the SAMPLER is told noise and seed alone."""
    sampler = recurrence.recurrent_sampler(comfy.samplers.sampler_object("euler"), recurrences)
    noise = comfy.sample.prepare_noise(latent["samples"], SEED, latent.get("batch_index"))
    sigmas = torch.tensor([8.0, 3.0, 0.0])
    conds = tiny.cond(1), tiny.cond(2)
    return comfy.sample.sample_custom(
        *(model, noise, 4.0, sampler, sigmas, *conds, latent["samples"]),
        disable_pbar=True,
        seed=SEED,
    )


WAYS = {"KSampler (Guided)": by_our_node, "SAMPLER": by_a_sampler}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("rule", "recurrences"), [("forward", 2), ("noisy", 1)])
def test_a_sample_alone_is_what_it_was_in_its_batch(way, rule, recurrences):
    with torch.inference_mode():
        model = guide.apply(tiny.unet(), [RULES[rule]])
        batch = WAYS[way](model, {"samples": torch.zeros(4, 4, 8, 8)}, recurrences)
        assert (batch[2] - batch[1]).abs().max() > 0.1
        for index in TAKEN.values():
            taken = WAYS[way](model, rows(index), recurrences)
            torch.testing.assert_close(taken, batch[index], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_numbers_are_those_that_the_host_drew_noise_by(dtype):
    latent = torch.zeros(3, 4, 8, 8)
    noise = comfy.sample.prepare_noise(latent, SEED, [7, 0, 7])
    assert batch_numbers(noise.to(dtype), SEED) == (7, 0, 7)


def test_samples_with_noise_from_elsewhere_keep_their_places():
    noise = comfy.sample.prepare_noise(torch.zeros(3, 4, 8, 8), SEED)
    mixed = torch.stack([noise[1], torch.zeros(4, 8, 8), noise[0]])
    assert batch_numbers(mixed, SEED) == (1, 1, 0)
    assert batch_numbers(noise, SEED + 1) == batch_numbers(0 * noise, SEED) == (0, 1, 2)
    assert batch_numbers(noise, None) == (0, 1, 2)
