"""Decoding inside the graph."""

from __future__ import annotations

import comfy.latent_formats
import comfy.sd
import folder_paths
import pytest
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.ldm.modules.diffusionmodules.model import AttnBlock, ResnetBlock
from comfy.taesd.taesd import TAESD
from energy_guidance.guidance_core.energies.masked import Masked
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.manifold import Manifold
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.nodes.host import decode, guide
from energy_guidance.nodes.host.autograd import memory
from energy_guidance.nodes.host.autograd.weights import Loan
from energy_guidance.tests.host import probe, tiny

FORMAT = comfy.latent_formats.SD15()
LAYOUT = {
    "double_z": True,
    "z_channels": 4,
    "resolution": 64,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 32,
    "ch_mult": [1, 1, 1, 2],
    "num_res_blocks": 1,
    "attn_resolutions": [],
    "dropout": 0.0,
}


@pytest.fixture(scope="module")
def vae():
    params = {"ddconfig": LAYOUT, "embed_dim": 4}
    with torch.inference_mode():
        weights = AutoencoderKL(**params)
        tiny._filled(weights)
        return comfy.sd.VAE(sd=weights.state_dict(), config={"params": params})


def slope(decoder, networks, x):
    """Slope of a weighted sum of the picture along its gradient: autograd, and differences."""
    generator = torch.Generator().manual_seed(5)
    with Loan(*networks)():
        x = x.requires_grad_()
        picture = decoder(x)
        weight = torch.randn(picture.shape, generator=generator)
        (grad,) = torch.autograd.grad((picture * weight).sum(), x)
        direction = grad / grad.square().mean().sqrt()
        with torch.no_grad():
            ahead = (decoder(x + 1e-4 * direction).double() * weight).sum()
            behind = (decoder(x - 1e-4 * direction).double() * weight).sum()
    return (grad * direction).sum().item(), ((ahead - behind) / 2e-4).item(), grad


def latents(size):
    return torch.randn(1, 4, size, size, generator=torch.Generator().manual_seed(6)) * 0.2


def test_vae_decodes_as_the_host_and_has_the_right_slope(vae):
    reader = decode.decoder("auto", vae, FORMAT)
    x = latents(8)
    auto, difference, _ = slope(reader, [vae.first_stage_model], x)
    assert auto == pytest.approx(difference, rel=3e-2)
    with torch.no_grad(), Loan(vae.first_stage_model)():
        picture = reader(x.detach())
    with torch.inference_mode():
        stock = vae.decode(FORMAT.process_out(x.detach())).movedim(-1, 1)
    torch.testing.assert_close(picture, stock.float(), rtol=1e-4, atol=1e-4)


def test_checkpointing_gives_the_same_gradient_and_leaves_no_trace(vae, monkeypatch):
    reader = decode.decoder("vae", vae, FORMAT)
    x = latents(8)
    plain = slope(reader, [vae.first_stage_model], x.clone())[2]
    saved = []
    monkeypatch.setattr(memory, "is_short_of", lambda needed, device: saved.append(needed) or True)
    sparing = slope(reader, [vae.first_stage_model], x.clone())[2]
    torch.testing.assert_close(sparing, plain)
    assert saved[0] > 0
    blocks = [m for m in vae.first_stage_model.modules() if isinstance(m, (ResnetBlock, AttnBlock))]
    assert blocks
    assert not any("forward" in vars(block) for block in blocks)


def test_rgb_factors_are_those_of_the_previews():
    reader = decode.decoder("rgb", None, FORMAT)
    x = torch.randn(2, 4, 5, 6)
    expected = torch.einsum("bchw,cr->brhw", x, torch.tensor(FORMAT.latent_rgb_factors))
    torch.testing.assert_close(reader(x), ((expected + 1) / 2).clamp(0, 1))
    assert reader(x).shape == (2, 3, 5, 6)


def test_taesd(tmp_path, monkeypatch):
    weights = TAESD().taesd_decoder.requires_grad_(False)
    tiny._filled(weights)
    torch.save(weights.state_dict(), tmp_path / "taesd_decoder.pth")
    monkeypatch.setitem(
        folder_paths.folder_names_and_paths, "vae_approx", ([str(tmp_path)], {".pth"})
    )
    with torch.inference_mode():
        reader = decode.decoder("taesd", None, FORMAT)
    x = latents(4)
    auto, difference, _ = slope(reader, [reader.network], x)
    assert reader(x).shape == (1, 3, 32, 32)
    assert auto == pytest.approx(difference, rel=5e-2)


@pytest.mark.parametrize("choice", ["vae", "rgb"])
def test_guiding_by_the_picture(vae, choice):
    rule = Forward(probe.Nearness(reads_image=True), PercentWindow(value=1.0))
    records = []
    before = [id(p) for p in vae.first_stage_model.parameters()]
    with torch.inference_mode():
        guided = guide.apply(tiny.unet(), [rule], vae=vae, decoder=choice, trace=records.append)
        assert torch.isfinite(tiny.sample(guided, steps=2)).all()
    assert len(records) == 2
    assert [id(p) for p in vae.first_stage_model.parameters()] == before


def test_a_crop_of_the_latent_guides_as_the_whole_does(monkeypatch):
    """By a decoder of single cells: what lies around an area is of no account to it."""
    mask, sizes = torch.zeros(24, 24), set()
    mask[2:6, 3:5] = 1
    rule = Forward(Masked(probe.Nearness(reads_image=True), mask), PercentWindow(value=1.0))
    whole = decode.RgbDecoder.__call__

    def seen(decoder, x0):
        sizes.add(tuple(x0.shape[-2:]))
        return whole(decoder, x0)

    monkeypatch.setattr(decode.RgbDecoder, "__call__", seen)
    drawn = []
    for decode_at in ("full", "crops"):
        with torch.inference_mode():
            guided = guide.apply(tiny.unet(), [rule], decoder="rgb", decode_at=decode_at)
            drawn.append(tiny.sample(guided, steps=2, size=24))
    # The square of the mask is 4 cells a side, at rows 2 to 5; 8 more lie below and right of it.
    assert sizes == {(24, 24), (14, 14)}
    torch.testing.assert_close(*drawn)
    assert not torch.equal(drawn[0], tiny.sample(tiny.unet(), steps=2, size=24))


def test_pictures_need_a_decoder():
    rule = Forward(probe.Nearness(reads_image=True), PercentWindow())
    with pytest.raises(ValueError, match="connect a VAE"):
        guide.apply(tiny.unet(), [rule])
    with pytest.raises(ValueError, match="needs a VAE"):
        guide.apply(tiny.unet(), [rule], decoder="vae")
    with pytest.raises(ValueError, match="decoder must be one of"):
        guide.apply(tiny.unet(), [rule], decoder="latent")
    with pytest.raises(ValueError, match="vae_approx/taesd_decoder"):
        guide.apply(tiny.unet(), [rule], decoder="taesd")


def test_a_vae_of_another_family_is_refused(vae):
    with pytest.raises(ValueError, match="4 channels, the model's have 16"):
        decode.decoder("vae", vae, comfy.latent_formats.Flux())


def test_encoding_is_the_stock_one(vae):
    decoder = decode.VaeDecoder(vae, FORMAT)
    with torch.inference_mode():
        image = vae.decode(FORMAT.process_out(latents(4)))
        expected = FORMAT.process_in(vae.encode(image))
    with torch.no_grad(), Loan(vae.first_stage_model)():
        encoded = decoder.encode(image.movedim(-1, 1).clone())
    torch.testing.assert_close(encoded, expected.clone(), rtol=1e-3, atol=1e-4)


def test_a_projected_rule_looks_through_the_autoencoder(vae):
    rules = [
        Manifold(probe.Nearness(), PercentWindow(value=1.0), projected=projected)
        for projected in (False, True)
    ]
    model = tiny.unet()
    with torch.inference_mode():
        guided = [guide.apply(model, [rule], vae=vae) for rule in rules]
    plain, projected = (tiny.sample(one, steps=1) for one in guided)
    assert torch.isfinite(projected).all()
    assert not torch.equal(plain, projected)


def test_a_projection_without_a_vae_is_refused():
    rule = Manifold(probe.Nearness(), PercentWindow(), projected=True)
    with pytest.raises(ValueError, match="connect a VAE"):
        guide.apply(tiny.unet(), [rule], decoder="rgb")


def test_a_latent_of_one_frame_goes_through_a_vae_of_images(vae):
    frames = comfy.latent_formats.SD15()
    frames.latent_dimensions = 3
    x = latents(4)
    with torch.no_grad(), Loan(vae.first_stage_model)():
        image = decode.VaeDecoder(vae, FORMAT)(x)
        one_frame = decode.VaeDecoder(vae, frames)
        torch.testing.assert_close(one_frame(x.unsqueeze(2)), image)
        expected = decode.VaeDecoder(vae, FORMAT).encode(image).unsqueeze(2)
        torch.testing.assert_close(one_frame.encode(image), expected)
