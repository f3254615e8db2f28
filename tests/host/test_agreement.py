"""ComfyUI and diffusers give the same latents from the same files: each checks the other."""

from __future__ import annotations

from importlib import import_module

import comfy.sample
import pytest
import torch
from energy_guidance.nodes.host import guide, shapes

from tools import diffusers_host

CAPTION, SEED, STEPS, CFG = "a big red circle and a small white square", 11, 20, 4.0


def comfyui(rules: list, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents in the U-Net's units, and their pictures."""
    with torch.inference_mode():
        model, clip, vae = shapes.load()
        conds = [clip.encode_from_tokens_scheduled(clip.tokenize(t)) for t in (CAPTION, "")]
        latent = torch.zeros(2, 4, 16, 16)
        noise = comfy.sample.prepare_noise(latent, SEED)
        guided = guide.apply(model, rules, vae=vae) if rules else model
        samples = comfy.sample.sample(
            guided, noise, steps, CFG, "euler", "normal", *conds, latent, seed=SEED
        )
        latents = model.get_model_object("latent_format").process_in(samples)
        return latents.clone(), vae.decode(samples).movedim(-1, 1).clone()


def diffusers(rules: list, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same from the embedded host."""
    model = diffusers_host.load(shapes.ASSETS, device="cpu")
    settings = diffusers_host.Settings(seed=SEED, batch=2, steps=steps, cfg=CFG)
    latents = diffusers_host.sample(model, rules, settings, positive=CAPTION)
    with torch.no_grad():
        return latents, model.decode(latents)


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


def test_hosts_agree_on_shapes():
    (ours, our_pictures), (theirs, their_pictures) = comfyui([], STEPS), diffusers([], STEPS)
    assert difference(ours, theirs) < 1e-3
    assert (our_pictures - their_pictures).abs().max() < 0.02


def red_by_forward(core: str) -> list:
    """A rule made of the core that a host imports: each has its own copy, as two packs would."""
    color, forward, schedules = (
        import_module(f"{core}.{name}") for name in ("energies.color", "rules.forward", "schedules")
    )
    energy = color.MeanColor(torch.tensor([0.9, 0.1, 0.1]))
    return [forward.Forward(energy, schedules.PercentWindow(0.0, 0.7, value=0.5))]


@pytest.mark.slow
def test_hosts_agree_on_guided_shapes():
    ours, _ = comfyui(red_by_forward("energy_guidance.guidance_core"), 6)
    theirs, _ = diffusers(red_by_forward("guidance_core"), 6)
    assert difference(ours, theirs) < 1e-2
