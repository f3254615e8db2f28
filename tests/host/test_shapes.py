"""The embedded model in the host's own classes."""

from __future__ import annotations

import json
import os
import time

import comfy.latent_formats
import comfy.model_management
import comfy.model_sampling
import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.utils
import latent_preview
import numpy as np
import pytest
import torch
from energy_guidance.guidance_core.energies.color import MeanColor
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.shapes import oracle, scenes
from energy_guidance.guidance_core.trace import Trace
from energy_guidance.nodes.host import decode, guide, networks, shapes
from energy_guidance.nodes.host.browser import monitor

pytestmark = pytest.mark.once

THERE = (networks.ASSETS / "unet" / "config.json").is_file()


@pytest.fixture(scope="module")
def parts():
    if not THERE and not os.environ.get("CI"):
        pytest.skip("the embedded model's weights are not in assets/shapes")
    with torch.inference_mode():
        return shapes.load()


@pytest.fixture(scope="module")
def diffusers():
    return pytest.importorskip("diffusers")


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


def encoded(clip, text):
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


@torch.inference_mode()
def host_latents(parts, noise):
    model, clip, _ = parts
    positive, negative = encoded(clip, "a big red circle"), encoded(clip, "")
    return comfy.sample.sample(
        model,
        noise,
        20,
        4.0,
        "euler",
        "normal",
        positive,
        negative,
        torch.zeros_like(noise),
        disable_pbar=True,
        seed=1,
    )


def test_it_paints_pictures(parts):
    latents = host_latents(parts, torch.randn(1, 4, 16, 16, generator=torch.manual_seed(3)))
    with torch.inference_mode():
        picture = parts[2].decode(latents)
    assert picture.shape == (1, 128, 128, 3)
    assert picture.std() > 0.05


@pytest.mark.parametrize("t", [0.02, 0.5, 0.93, 0.97, 1.0])
@torch.inference_mode()
def test_the_flow_is_the_same_model_in_other_coordinates(parts, t):
    """x0 at (1 - t) x0 + t n is that at x / (1 - t) and sigma t / (1 - t), where it was trained."""
    eps, clip, _ = parts
    flow, level = shapes.load_model(sampling=shapes.FLOW).model, torch.tensor([t, t])
    assert isinstance(flow.model_sampling, comfy.model_sampling.CONST)
    x = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(6))
    states = encoded(clip, "a big red circle")[0][0].expand(2, -1, -1)
    sigma = torch.tensor([t / (1 - t) if t < 1 else 1e9]).expand(2)
    top = eps.model.model_sampling.sigma_max
    native = x / (1 - t) if t < 0.94 else x * (1 + top**2) ** 0.5 / ((1 - t) ** 2 + t**2) ** 0.5
    wanted = eps.model.apply_model(native, sigma.clamp_max(float(top)), c_crossattn=states)
    found = flow.apply_model(x, level, c_crossattn=states)
    assert relative(found, wanted) < 1e-4


@torch.inference_mode()
def test_euler_paints_the_same_picture_with_both_samplings(parts):
    eps, clip, _ = parts
    flow, noise = shapes.load_model(sampling=shapes.FLOW), torch.zeros(1, 4, 16, 16)
    noise = torch.randn(noise.shape, generator=torch.Generator().manual_seed(3))
    levels = eps.model.model_sampling.sigmas[[-1, 600, 300, 50]].tolist()
    pictures = []
    for model, of in ((eps, lambda sigma: sigma), (flow, lambda sigma: sigma / (1 + sigma))):
        sigmas = torch.tensor([*map(of, levels), 0.0])
        euler, prompts = comfy.samplers.sampler_object("euler"), ("a big red circle", "")
        conds = [encoded(clip, text) for text in prompts]
        start = noise if model is flow else noise * levels[0] / (1 + levels[0] ** 2) ** 0.5
        options = {"disable_pbar": True, "seed": 1}
        zeros = torch.zeros_like(noise)
        pictures.append(
            comfy.sample.sample_custom(model, start, 4.0, euler, sigmas, *conds, zeros, **options)
        )
    assert relative(*pictures) < 5e-3


def test_the_vae_gives_back_what_it_was_given(parts):
    generator = torch.Generator().manual_seed(4)
    pictures = scenes.render([scenes.random_scene(generator) for _ in range(2)]).movedim(1, -1)
    with torch.inference_mode():
        again = parts[2].decode(parts[2].encode(pictures))
    assert (again - pictures).abs().mean() < 0.03


def test_previews_have_the_colours_of_the_image(parts):
    vae = parts[2]
    latent_format = parts[0].model.latent_format
    if not hasattr(comfy.latent_formats.LatentFormat, "latent_rgb_factors_reshape"):
        pytest.skip("this host maps latents to previews linearly")
    latent_preview.args.preview_method = latent_preview.LatentPreviewMethod.Auto
    try:
        previewer = latent_preview.get_previewer(torch.device("cpu"), latent_format)
    finally:
        latent_preview.args.preview_method = latent_preview.default_preview_method
    with torch.inference_mode():
        latents = host_latents(parts, torch.randn(2, 4, 16, 16, generator=torch.manual_seed(3)))
        preview = np.asarray(previewer.decode_latent_to_preview(latents)) / 255
        image = vae.decode(latents)[0].numpy()
    assert preview.shape == image.shape
    assert np.abs(preview - image).mean() < 0.02


def test_the_decoder_rgb_is_linear(parts):
    reader = decode.decoder("rgb", None, parts[0].model.latent_format)
    one, other = torch.randn(2, 1, 4, 16, 16, generator=torch.manual_seed(5)) * 0.01
    both = reader(one + other) + reader(torch.zeros_like(one))
    assert both.shape == (1, 3, 16, 16)
    torch.testing.assert_close(both, reader(one) + reader(other))


@pytest.mark.everywhere
def test_text_unet_and_vae_are_those_of_diffusers(parts, diffusers):
    transformers = pytest.importorskip("transformers")
    model, clip, vae = parts
    folder = networks.ASSETS
    unet = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet").float()
    text = transformers.CLIPTextModel.from_pretrained(folder / "text_encoder").float()
    kl = diffusers.AutoencoderKL.from_pretrained(folder / "vae").float()
    x, steps = torch.randn(2, 4, 16, 16, generator=torch.manual_seed(0)), torch.tensor([700.0, 9.0])
    with torch.inference_mode():
        tokens = clip.tokenize("a small green star")
        hidden = clip.encode_from_tokens(tokens)
        ids = torch.tensor([[token for token, _ in tokens["l"][0]]])
        assert relative(hidden, text(ids)[0]) < 1e-4
        states = hidden.repeat(2, 1, 1)
        ours = model.model.diffusion_model(x, steps, states)
        assert relative(ours, unet(x, steps, states).sample) < 1e-4
        decoded = ((kl.decode(x[:1]).sample + 1) / 2).clamp(0, 1)
        assert relative(vae.decode(x[:1]).movedim(-1, 1), decoded) < 1e-4


@pytest.mark.parametrize("name", [shapes.THREE_OBJECTS, shapes.TURBO])
def test_the_stock_loader_applies_our_loras(parts, diffusers, name):
    """What `LoraLoaderModelOnly` does with a file, against the file added by hand."""
    diffusers_host = pytest.importorskip("tools.diffusers_host")
    by_hand = pytest.importorskip("tools.shapes.lora")
    file = networks.ASSETS / f"{name}.safetensors"
    lora = comfy.utils.load_torch_file(str(file), safe_load=True)
    plain = diffusers_host.load(networks.ASSETS, device="cpu")
    x, steps = torch.randn(2, 4, 16, 16, generator=torch.manual_seed(2)), torch.tensor([700.0, 9.0])
    states = plain.encode(["red circle and blue square and green triangle"] * 2)
    with torch.inference_mode():
        model, _ = comfy.sd.load_lora_for_models(parts[0], None, lora, 1.0, 0.0)
        assert len(model.patches) == len(lora) // 3
        comfy.model_management.load_models_gpu([model])
        ours = model.model.diffusion_model(x, steps, states)
        theirs = by_hand.merged(plain.unet, file)(x, steps, states).sample
        assert relative(ours, theirs) < 1e-3
        assert relative(plain.unet(x, steps, states).sample, theirs) > CHANGES[name]


CHANGES = {shapes.THREE_OBJECTS: 0.05, shapes.TURBO: 0.01}


@pytest.mark.everywhere
def test_load_shapes_adds_its_lora_as_the_stock_loader_does(parts):
    loaded = shapes.load(lora=shapes.TURBO)
    file = networks.ASSETS / f"{shapes.TURBO}.safetensors"
    lora = comfy.utils.load_torch_file(str(file), safe_load=True)
    stock, _ = comfy.sd.load_lora_for_models(parts[0], None, lora, 1.0, 0.0)
    assert loaded[0].patches.keys() == stock.patches.keys()
    assert not shapes.load()[0].patches
    latents = [host_turbo((model, *parts[1:])) for model in (loaded[0], stock)]
    assert torch.equal(*latents)
    assert relative(host_turbo(parts), latents[0]) > 0.1


@pytest.mark.everywhere
def test_four_steps_of_lcm_paint_whole_scenes(parts):
    """The levels are those of the embedded host, and most images show their prompt."""
    diffusers_host = pytest.importorskip("tools.diffusers_host")
    model, _, vae = shapes.load(lora=shapes.TURBO)
    sampling = model.get_model_object("model_sampling")
    levels = comfy.samplers.calculate_sigmas(sampling, "sgm_uniform", 4)
    assert torch.allclose(levels, diffusers_host.LEVELS.sgm_uniform(4), rtol=1e-5)
    with torch.inference_mode():
        pictures = vae.decode(host_turbo((model, *parts[1:]), batch=8))
    verdicts = oracle.judge(pictures.movedim(-1, 1))
    assert sum(verdict.matches(PROMPT) for verdict in verdicts) >= 6


PROMPT = "a big red circle"


def host_turbo(parts, batch: int = 2):
    """Four steps of the stock sampler `lcm` at CFG 1."""
    model, clip, _ = parts
    return comfy.sample.sample(
        model,
        torch.randn(batch, 4, 16, 16, generator=torch.manual_seed(5)),
        4,
        1.0,
        "lcm",
        "sgm_uniform",
        encoded(clip, PROMPT),
        encoded(clip, ""),
        torch.zeros(batch, 4, 16, 16),
        disable_pbar=True,
        seed=1,
    )


def test_twenty_euler_steps_agree_with_diffusers(parts, diffusers):
    """Same weights, same noise, same noise levels: the host's sampler and diffusers' scheduler."""
    noise = torch.randn(2, 4, 16, 16, generator=torch.manual_seed(1))
    ours = host_latents(parts, noise)
    model, clip, _ = parts
    unet = diffusers.UNet2DConditionModel.from_pretrained(networks.ASSETS / "unet").float()
    config = diffusers.EulerDiscreteScheduler.from_config(
        {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    )
    sampling = model.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", 20)
    config.set_timesteps(sigmas=sigmas.tolist())
    with torch.inference_mode():
        states = torch.cat([encoded(clip, text)[0][0] for text in ("", "a big red circle")])
        states = states.repeat_interleave(2, 0)
        x = noise * (1 + sigmas[0] ** 2).sqrt()
        for t in config.timesteps:
            both = config.scale_model_input(torch.cat([x, x]), t)
            uncond, cond = unet(
                both, sampling.timestep(sigmas[config.step_index]), states
            ).sample.chunk(2)
            x = config.step(uncond + 4.0 * (cond - uncond), t, x).prev_sample
    assert relative(ours, x / sampling_scale(model)) < 1e-3


def sampling_scale(model):
    return model.get_model_object("latent_format").scale_factor


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="unet"):
        shapes.load(tmp_path)


class Clock:
    """CPU seconds of this thread that pass in functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function):
        """The function, timed."""

        def timed(*args, **kwargs):
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.thread_time() - began

        return timed


class Channel:
    """A server with one browser, which sends at once instead of in its own thread."""

    client_id, sockets = "me", {"me": None}
    messages = 0

    def send_sync(self, event: str, data: dict, client: str) -> None:
        json.dumps({"type": event, "data": data})
        self.messages += 1


def test_the_monitor_takes_less_than_a_hundredth_of_sampling(parts, monkeypatch):
    channel, whole, part = Channel(), Clock(), Clock()
    context = type("Context", (), {"prompt_id": "p", "node_id": "7"})
    monkeypatch.setattr(monitor, "_server", lambda: channel)
    monkeypatch.setattr(monitor, "get_executing_context", lambda: context)
    monkeypatch.setattr(monitor, "_folded", {"me": frozenset()})
    monkeypatch.setattr(monitor, "SECONDS", 0.0)  # every step, not ten times a second
    for name in ("begin", "__call__", "end"):
        monkeypatch.setattr(monitor.Monitor, name, part.around(getattr(monitor.Monitor, name)))
    # As cheap a guided step as there is.
    trace, energy = Trace(), MeanColor(torch.tensor([1.0, 0.0, 0.0]))
    rules = [Forward(energy, lambda sigma: 0.5)]
    guided = guide.apply(parts[0], rules, vae=parts[2], trace=trace)
    whole.around(host_latents)((guided, *parts[1:]), torch.randn(1, 4, 16, 16))
    assert channel.messages >= len(trace.rows) > 10
    assert part.seconds / whole.seconds < 0.01, part.seconds / whole.seconds
