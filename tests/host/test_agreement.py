"""ComfyUI and diffusers give the same latents from the same files: each checks the other."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module

import comfy.k_diffusion.sampling
import comfy.sample
import pytest
import torch
from energy_guidance.nodes.host import guide, networks, shapes

from tools import diffusers_host

pytestmark = pytest.mark.once

CAPTION, SEED, STEPS, CFG = "a big red circle and a small white square", 11, 20, 4.0


def comfyui(
    rules: list, steps: int, cfg: float = CFG, decoder: str = "vae"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents in the U-Net's units, and their pictures."""
    with torch.inference_mode():
        model, clip, vae = shapes.load()
        conds = [clip.encode_from_tokens_scheduled(clip.tokenize(t)) for t in (CAPTION, "")]
        latent = torch.zeros(2, 4, 16, 16)
        noise = comfy.sample.prepare_noise(latent, SEED)
        guided = guide.apply(model, rules, vae=vae, decoder=decoder) if rules else model
        samples = comfy.sample.sample(
            guided, noise, steps, cfg, "euler", "normal", *conds, latent, seed=SEED
        )
        latents = model.get_model_object("latent_format").process_in(samples)
        return latents.clone(), vae.decode(samples).movedim(-1, 1).clone()


def diffusers(
    rules: list, steps: int, cfg: float = CFG, decoder: str = "vae"
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same from the embedded host."""
    model = diffusers_host.load(shapes.ASSETS, device="cpu")
    settings = diffusers_host.Settings(seed=SEED, batch=2, steps=steps, cfg=cfg, decoder=decoder)
    latents = diffusers_host.sample(model, rules, settings, positive=CAPTION)
    with torch.no_grad():
        return latents, model.decode(latents)


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


def test_hosts_agree_on_shapes():
    (ours, our_pictures), (theirs, their_pictures) = comfyui([], STEPS), diffusers([], STEPS)
    assert difference(ours, theirs) < 1e-3
    assert (our_pictures - their_pictures).abs().max() < 0.02


def reddening(core: str, rule: str, strength: float, **settings) -> list:
    """A rule made of the core that a host imports: each has its own copy, as two packs would."""
    color, rules, schedules = (
        import_module(f"{core}.{name}")
        for name in ("energies.color", f"rules.{rule.lower()}", "schedules")
    )
    energy = color.MeanColor(torch.tensor([0.9, 0.1, 0.1]))
    window = schedules.PercentWindow(0.0, 0.7, value=strength)
    return [getattr(rules, rule)(energy, window, **settings)]


@functools.cache
def unguided(sample: Callable, cfg: float) -> torch.Tensor:
    return sample([], 2, cfg)[0]


EVERY_SCALE = {
    "forward relative": ("Forward", 0.5, {"scale": "relative"}),
    "forward absolute": ("Forward", 20.0, {"scale": "absolute"}),
    "forward cfg": ("Forward", 0.5, {"scale": "cfg"}),
    "posterior absolute": ("Posterior", 20.0, {"scale": "absolute"}),
    "posterior spherical": ("Posterior", 1.0, {"scale": "spherical"}),
}


@pytest.mark.parametrize("cfg", [1.0, CFG])
@pytest.mark.parametrize("name", EVERY_SCALE)
def test_hosts_agree_on_what_guidance_changes(name, cfg):
    """In every scale: the slope of the estimate above CFG 1 has the size that it has at CFG 1."""
    rule, strength, settings = EVERY_SCALE[name]
    if settings["scale"] == "cfg" and cfg == 1:
        pytest.skip("there is no step of CFG to measure by")
    changes = []
    for sample, core in ((comfyui, "energy_guidance.guidance_core"), (diffusers, "guidance_core")):
        guided, _ = sample(reddening(core, rule, strength, **settings), 2, cfg)
        changes.append(guided - unguided(sample, cfg))
    assert changes[0].abs().max() > 0.05
    assert difference(*changes) < 2e-2


def sentence(core: str, network) -> list:
    """The rule of the example text-guided."""
    clip_text, forward, schedules = (
        import_module(f"{core}.{name}")
        for name in ("energies.clip_text", "rules.forward", "schedules")
    )
    energy = clip_text.ClipText(network, "a big red circle", cutouts=0)
    return [forward.Forward(energy, schedules.PercentWindow(0.0, 0.9, value=1.4))]


@pytest.mark.parametrize("decoder", ["vae", "fitted"])
def test_hosts_agree_on_a_sentence(decoder):
    """At high and middle noise; the network's gradient amplifies rounding from step to step."""
    here = networks.load(networks.OPEN_CLIP, "shapes")
    there = diffusers_host.guide_network("open_clip", torch.device("cpu"))
    ours, _ = comfyui(sentence("energy_guidance.guidance_core", here), 3, 1.0, decoder)
    theirs, _ = diffusers(sentence("guidance_core", there), 3, 1.0, decoder)
    assert difference(ours, theirs) < 5e-2
    assert difference(ours, comfyui([], 3, cfg=1.0)[0]) > 0.5


@pytest.mark.everywhere
@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_hosts_put_as_much_noise_back(eta):
    for high, low in ((14.6, 12.5), (1.2, 1.1), (0.16, 0.03)):
        down, _ = comfy.k_diffusion.sampling.get_ancestral_step(high, low, eta=eta)
        assert diffusers_host.ancestral_share(eta, high, low) == pytest.approx(1 - down / high)


def test_hosts_agree_on_guided_shapes():
    ours, _ = comfyui(reddening("energy_guidance.guidance_core", "Forward", 0.5), 6)
    theirs, _ = diffusers(reddening("guidance_core", "Forward", 0.5), 6)
    assert difference(ours, theirs) < 1e-2
