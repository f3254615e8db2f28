"""A latent with a noise mask, inverted and sampled again: no noise is left outside the mask."""

from __future__ import annotations

import comfy.sample
import comfy.samplers
import pytest
import torch
from energy_guidance.nodes.editing.invert import Invert
from energy_guidance.tests.host import tiny

pytestmark = pytest.mark.once

STEPS = 4


def masked():
    """An image that the model can make, free in its left half alone."""
    model = tiny.unet()
    with torch.inference_mode():
        generator = torch.Generator().manual_seed(5)
        start = torch.randn(2, 4, 8, 8, generator=generator)
    samples = tiny.sample(model, STEPS, cfg=1.0, denoise=0.5, latent=start)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    return model, {"samples": samples, "noise_mask": mask}


def inverted(model, latent):
    with torch.inference_mode():
        widgets = (STEPS, 1.0, "normal", 0.5, 12, 0.0, False)
        noisy, _, noise, _ = Invert.execute(model, tiny.cond(1), latent, *widgets).result
        sigmas = comfy.samplers.KSampler(
            model, STEPS, model.load_device, "euler", "normal", 0.5, model.model_options
        ).sigmas
    return noisy, noise, sigmas


def sampled(model, noise, sigmas, latent, prompt=1):
    """As the stock samplers take a LATENT, its mask included."""
    with torch.inference_mode():
        return comfy.sample.sample_custom(
            *(model, noise, 1.0, comfy.samplers.sampler_object("euler"), sigmas),
            *(tiny.cond(prompt), tiny.cond(2), latent["samples"]),
            noise_mask=latent.get("noise_mask"),
            disable_pbar=True,
            seed=0,
        )


def distance(a, b):
    return float((a - b).abs().max())


def test_the_latent_output_becomes_the_image_again_outside_the_mask_too():
    model, latent = masked()
    noisy, _, sigmas = inverted(model, latent)
    again = sampled(model, torch.zeros_like(noisy["samples"]), sigmas, noisy)
    assert distance(noisy["samples"], latent["samples"]) > 1
    assert distance(again, latent["samples"]) < 0.05


@pytest.mark.parametrize("prompt", [1, 3])
def test_the_noise_output_edits_inside_the_mask_alone(prompt):
    model, latent = masked()
    _, noise, sigmas = inverted(model, latent)
    again = sampled(model, noise.generate_noise(latent), sigmas, latent, prompt)
    assert distance(again[..., 4:], latent["samples"][..., 4:]) < 1e-4
    inside = distance(again[..., :4], latent["samples"][..., :4])
    assert inside > 0.1 if prompt == 3 else inside < 0.05
