"""Latents of videos and of audio: one frame is an image, what is none is refused in time."""

from __future__ import annotations

import pytest
import torch
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.manifold import Manifold
from energy_guidance.guidance_core.schedules import Constant, PercentWindow
from energy_guidance.nodes.host import decode, guide, latents
from energy_guidance.nodes.host.autograd.weights import Loan
from energy_guidance.tests.host import families, probe, tiny

IMAGE = probe.Nearness(reads_image=True)
FORWARD = Forward(IMAGE, Constant(0.5))
PROJECTED = Manifold(IMAGE, Constant(0.5), projected=True)


@pytest.fixture(scope="module")
def video_vae():
    return tiny.wan_vae()


def latent(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(6)) * 0.2


def decoder_of(vae, family):
    return decode.decoder("vae", vae, families.FAMILIES[family].model().model.latent_format)


def sampled(family, rule, vae=None, frames=1, **options):
    records = []
    settings = families.FAMILIES[family].options()
    settings["latent"] = settings["latent"].repeat_interleave(frames, 2)
    with torch.inference_mode():
        model = families.FAMILIES[family].model()
        guided = guide.apply(model, [rule], vae=vae, trace=records.append, **options)
        tiny.sample(guided, steps=1, cfg=1.0, **settings)
    return records


def test_one_frame_is_encoded_as_the_host_does(video_vae):
    decoder = decoder_of(video_vae, "Wan 2.1")
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        stock = video_vae.encode(image.movedim(1, -1))
        expected = decoder.latent_format.process_in(stock)
    with torch.no_grad(), Loan(video_vae.first_stage_model)():
        encoded = decoder.encode(image.clone())
    assert encoded.shape == (1, 16, 1, 2, 2)
    torch.testing.assert_close(encoded, expected.float().clone(), rtol=1e-3, atol=1e-4)


def test_the_projection_of_one_frame_has_the_right_slope(video_vae):
    decoder, x = decoder_of(video_vae, "Wan 2.1"), latent(1, 16, 1, 2, 2)
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    value = lambda x: (decoder.encode(decoder(x)).double() * weight).sum()
    with Loan(video_vae.first_stage_model)():
        (grad,) = torch.autograd.grad(value(x.requires_grad_()), x)
        direction = grad / grad.square().mean().sqrt()
        with torch.no_grad():
            step = 1e-3 * direction
            difference = (value(x + step) - value(x - step)) / 2e-3
    assert float((grad * direction).sum()) == pytest.approx(float(difference), rel=3e-2)


@pytest.mark.parametrize("family", ["Wan 2.1", "Qwen-Image"])
@pytest.mark.parametrize("rule", [PROJECTED, FORWARD], ids=["projected", "forward"])
def test_one_frame_is_guided_by_its_image(family, rule, video_vae):
    (record,) = sampled(family, rule, video_vae)
    assert record.grad_norm > 0


def test_a_batch_of_single_frames_is_a_batch_of_images(video_vae):
    decoder, x = decoder_of(video_vae, "Wan 2.1"), latent(2, 16, 1, 2, 2)
    with torch.no_grad(), Loan(video_vae.first_stage_model)():
        both = decoder.encode(decoder(x))
        each = torch.cat([decoder.encode(decoder(row[None])) for row in x])
    torch.testing.assert_close(both, each, rtol=1e-4, atol=1e-4)


def test_a_projection_of_several_frames_is_refused_before_the_model_runs(video_vae, monkeypatch):
    calls = []
    network = families.FAMILIES["Wan 2.1"].model().model.diffusion_model
    monkeypatch.setattr(type(network), "forward", lambda *args, **kwargs: calls.append(args))
    with pytest.raises(ValueError, match=r"a latent of one image, got a video of 3 frames"):
        sampled("Wan 2.1", PROJECTED, video_vae, frames=3)
    assert not calls


@pytest.mark.parametrize("strength", [Constant(0.0), PercentWindow(0.999, 1.0, value=1.0)])
def test_several_frames_run_where_no_image_is_looked_at(strength, video_vae):
    assert not sampled("Wan 2.1", Forward(IMAGE, strength), video_vae, frames=3)
    records = sampled("Wan 2.1", Forward(probe.Nearness(), Constant(0.5)), frames=3)
    assert records[0].grad_norm > 0


AUDIO = [name for name in families.FAMILIES if name.startswith(("Stable Audio", "ACE"))]


@pytest.mark.parametrize("family", AUDIO)
def test_energies_of_the_image_do_not_apply_to_audio(family):
    model = families.FAMILIES[family].model()
    for decoder in decode.CHOICES:
        with pytest.raises(ValueError, match="hold audio: energies of the image do not apply"):
            guide.apply(model, [FORWARD], decoder=decoder)


def test_energies_of_the_latent_apply_to_audio():
    for family in AUDIO:
        assert sampled(family, Forward(probe.Nearness(), Constant(0.5)))[0].grad_norm > 0


def test_latents_of_one_dimension_hold_no_image():
    model = families.FAMILIES["Wan 2.1"].model().model
    model.latent_format.latent_dimensions = 1
    with pytest.raises(ValueError, match="hold no image"):
        latents.check_has_image(model)


def test_a_decoder_of_other_channels_is_refused():
    with pytest.raises(ValueError, match="got 6 channels"):
        latents.still_image(torch.zeros(1, 6, 8, 8))
    with pytest.raises(ValueError, match="got no image"):
        latents.still_image(torch.zeros(1, 2, 8))
    video = torch.rand(1, 3, 5, 8, 8)
    assert torch.equal(latents.still_image(video), video[:, :, 4])
