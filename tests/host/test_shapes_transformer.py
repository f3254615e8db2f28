"""The embedded transformer: the host's FLUX gives what its training gave, and paints."""

from __future__ import annotations

import comfy.sample
import pytest
import torch
from energy_guidance.guidance_core.shapes import oracle
from energy_guidance.nodes.host import networks, shapes
from energy_guidance.nodes.host.shapes_joint import TEXT

pytestmark = pytest.mark.everywhere


@pytest.fixture(scope="module")
def parts():
    with torch.inference_mode():
        return shapes.load(network=shapes.TRANSFORMER)


def encoded(clip, text):
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def noise_of(batch, seed=5):
    return torch.randn(batch, 4, 16, 16, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def test_the_velocity_is_diffusers(parts):
    diffusers = pytest.importorskip("diffusers")
    model, clip, _ = parts
    folder = networks.ASSETS / "transformer"
    theirs = diffusers.FluxTransformer2DModel.from_pretrained(folder).float().eval()
    x, t = noise_of(2), torch.tensor([0.3, 0.9])
    (states, rest), *_ = encoded(clip, "a big red circle")
    assert states.shape[1] == TEXT
    patches = torch.nn.functional.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2)
    places = torch.cartesian_prod(torch.zeros(1), torch.arange(8.0), torch.arange(8.0))
    words = states.float().expand(2, -1, -1)
    out = theirs(patches, words, torch.zeros(2, 64), t, places, torch.zeros(TEXT, 3)).sample
    velocity = torch.nn.functional.pixel_shuffle(out.transpose(1, 2).unflatten(2, (8, 8)), 2)
    wanted = x - t.view(-1, 1, 1, 1) * velocity
    vector = rest["pooled_output"].expand(2, -1)
    found = model.model.apply_model(x, t, c_crossattn=words, y=vector)
    assert (found - wanted).norm() < 1e-4 * wanted.norm()


@torch.inference_mode()
def test_it_paints_what_the_prompt_says_without_cfg(parts):
    model, clip, vae = parts
    noise, prompt = noise_of(8), "a big red circle"
    latents = comfy.sample.sample(
        *(model, noise, 20, 1.0, "euler", "simple", encoded(clip, prompt), encoded(clip, "")),
        torch.zeros_like(noise),
        disable_pbar=True,
        seed=1,
    )
    verdicts = oracle.judge(vae.decode(latents).movedim(-1, 1).float())
    assert sum(verdict.matches(prompt) for verdict in verdicts) >= 7


def test_a_lora_of_the_unet_is_refused():
    with pytest.raises(ValueError, match="lora must be none with the transformer"):
        shapes.load(lora=shapes.TURBO, network=shapes.TRANSFORMER)
