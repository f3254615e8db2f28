"""Fit Fast Decoder: its file, stopped and gone on with, for latents of every kind."""

from __future__ import annotations

import dataclasses

import comfy.model_management
import folder_paths
import pytest
import safetensors.torch
import torch
from energy_guidance.guidance_core.networks import fast_decoder
from energy_guidance.guidance_core.procedures.decoder_fitting import Fitting, Pairs
from energy_guidance.nodes.host import decode, fitting_order
from energy_guidance.nodes.host.fitted_decoder import FittedDecoder
from energy_guidance.nodes.sampling.fit_fast_decoder import FitFastDecoder
from energy_guidance.tests.host import encoders, families, tiny

pytestmark = pytest.mark.once


def flux_vae():
    """One of 16 channels, which the host counts only where it knows the weights."""
    vae = encoders.image_vae(16)
    vae.latent_channels = 16
    return vae


# Channels of the latents, and of the images' pixels for each cell.
KINDS = {
    "SD 1.5": (lambda: encoders.image_vae(4), 4, 8),
    "FLUX.1": (flux_vae, 16, 8),
    "Wan 2.1": (tiny.wan_vae, 16, 8),
    "FLUX.2": (encoders.flux2_vae, 128, 16),
    "HunyuanVideo 1.5": (lambda: encoders.tiny_vae(32), 32, 16),
    "Wan 2.2 5B": (lambda: encoders.tiny_vae(48), 48, 16),
}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Empty folders for what is kept and for decoders."""
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    paths = ([str(tmp_path / "vae_approx")], {".safetensors"})
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "vae_approx", paths)
    (tmp_path / "vae_approx").mkdir()
    return tmp_path


def shape_of(family):
    """Of its latents of one image."""
    channels, *frames, height, width = families.FAMILIES[family].latent
    return (channels, *[1] * len(frames), height, width)


def fitted(family="SD 1.5", **changes):
    """The node's result on a tiny model, with the default widgets but for these."""
    widgets = {i.id: getattr(i, "default", None) for i in FitFastDecoder.define_schema().inputs}
    options = families.FAMILIES[family].options(shape=shape_of(family))
    widgets |= {name: options[name] for name in ("positive", "negative")}
    widgets |= {"latent_image": {"samples": options["latent"]}, "runs": 2, "steps": 3, "cfg": 1.0}
    widgets |= {"fitting_steps": 6, "width": 16, "blocks": 1, "scheduler": "normal"}
    with torch.inference_mode():
        widgets |= {"model": families.model(family)}
        widgets |= {} if "vae" in changes else {"vae": KINDS[family][0]()}
        return FitFastDecoder.execute(**{**widgets, **changes}).args


def written(folders):
    return sorted(path.name for path in (folders / "vae_approx").rglob("*") if path.is_file())


@pytest.mark.parametrize("family", KINDS)
def test_latents_of_every_kind(family, folders):
    if family not in families.FAMILIES:
        pytest.skip("this ComfyUI does not know the family")
    _, channels, scale = KINDS[family]
    if channels in (32, 48):  # their small decoder is the host's
        pytest.importorskip("comfy.taesd.taehv")
    name, psnr, comparison = fitted(family)
    card = fast_decoder.card_of(folders / "vae_approx" / name)
    assert (card.channels, card.scale, card.psnr) == (channels, scale, psnr)
    latent_format = families.model(family).get_model_object("latent_format")
    assert isinstance(decode.decoder("fitted", None, latent_format), FittedDecoder)
    height, width = (scale * side for side in shape_of(family)[-2:])
    assert comparison.shape == (1, 2 * height, 3 * width, 3)
    assert 5 < psnr < 60


def test_it_stands_for_the_vae_at_the_size_asked_for(folders):
    with torch.inference_mode():
        vae = KINDS["SD 1.5"][0]()
    name, _, comparison = fitted(vae=vae, size="half", steps=2, runs=1)
    card = fast_decoder.card_of(folders / "vae_approx" / name)
    assert (card.scale, card.part) == (4, 0.5)
    (unseen,) = (folders / "output").rglob("run_001.safetensors")
    pairs = Pairs(**safetensors.torch.load_file(unseen))
    latent_format = families.model("SD 1.5").get_model_object("latent_format")
    with torch.inference_mode():
        stock = vae.decode(latent_format.process_out(pairs.latents)).movedim(-1, 1)
    half = stock.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).mean((3, 5))
    torch.testing.assert_close(pairs.images / 255, half.float(), rtol=0, atol=3e-3)
    assert comparison.shape[1] == 2 * 4 * pairs.latents.shape[-2]


def test_stopped_anywhere_it_goes_on_and_gives_the_same_file(folders, monkeypatch):
    name, _, _ = fitted(fitting_steps=9)
    file = folders / "vae_approx" / name
    whole = file.read_bytes()
    file.unlink()
    for kept in (folders / "output").rglob("*.safetensors"):
        kept.unlink()
    asked, plain = [], comfy.model_management.throw_exception_if_processing_interrupted

    def stopping(after):
        def asks():
            asked.append(1)
            if len(asked) == after:
                raise comfy.model_management.InterruptProcessingException
            plain()

        return asks

    for after in (4, 3, 12, 6):
        asked.clear()
        monkeypatch.setattr(
            comfy.model_management, "throw_exception_if_processing_interrupted", stopping(after)
        )
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            fitted(fitting_steps=9)
        assert written(folders) == []
    monkeypatch.undo()
    monkeypatch.setattr(folder_paths, "output_directory", str(folders / "output"))
    paths = ([str(folders / "vae_approx")], {".safetensors"})
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "vae_approx", paths)
    fitted(fitting_steps=9)
    assert file.read_bytes() == whole
    assert written(folders) == [name]


def test_what_is_ready_is_not_made_again(folders, monkeypatch):
    name, psnr, comparison = fitted()
    file = folders / "vae_approx" / name
    before = file.stat().st_mtime_ns
    monkeypatch.setattr(Fitting, "run", lambda *args: pytest.fail("fitted again"))
    again = fitted()
    assert again[:2] == (name, psnr)
    assert torch.equal(again[2], comparison)
    assert file.stat().st_mtime_ns == before
    left = {path.name for path in (folders / "output").rglob("*") if path.is_file()}
    assert left == {"run_002.safetensors"}


def test_other_settings_make_another(folders):
    fitted()
    file = folders / "vae_approx" / "fast_decoder.safetensors"
    one = file.read_bytes()
    fitted(seed=5)
    assert file.read_bytes() != one


def test_images_are_started_from_at_one_level_after_the_other(folders, monkeypatch):
    begun, plain = [], fitting_order.samplers.sample

    def noted(plan, *args, **options):
        begun.append(len(plan.sigmas) - 1)
        return plain(plan, *args, **options)

    monkeypatch.setattr(fitting_order.samplers, "sample", noted)
    images = {"samples": torch.ones(1, 4, 8, 8)}
    fitted(latent_image=images, runs=4, steps=4)
    assert begun == [1, 2, 3, 4, 1]
    begun.clear()
    fitted(runs=2, steps=4, name="empty")
    assert begun == [4, 4, 4]


def test_it_is_nearer_the_longer_it_is_fitted(folders):
    _, short, _ = fitted(fitting_steps=2)
    _, long, _ = fitted(fitting_steps=300, name="long")
    assert long > short + 3


def refused(match, folders, **changes):
    with pytest.raises(ValueError, match=match):
        fitted(**changes)
    assert not list((folders / "output").rglob("*.safetensors"))


def test_what_cannot_be_fitted_is_refused_at_once(folders):
    refused("connect the VAE that belongs to the model", folders, vae=flux_vae())
    refused("needs a VAE", folders, vae=None)
    refused("name must be", folders, name="../elsewhere")
    video = {"samples": torch.zeros(1, 4, 3, 8, 8)}
    refused("latent of several frames", folders, latent_image=video)
    refused("at most 1,000,000 weights", folders, width=256, blocks=8)
    refused("needs a negative prompt", folders, negative=None, cfg=4.0)


def test_a_file_of_something_else_is_never_replaced(folders):
    file = folders / "vae_approx" / "taesd_decoder.safetensors"
    file.write_bytes(b"somebody's")
    refused("is there and is no fast decoder", folders, name="taesd_decoder")
    assert file.read_bytes() == b"somebody's"


def test_the_decoder_guides(folders):
    from energy_guidance.guidance_core.rules.forward import Forward
    from energy_guidance.guidance_core.schedules import Constant
    from energy_guidance.nodes.host import guide
    from energy_guidance.tests.host import probe

    fitted()
    rule = Forward(probe.Nearness(reads_image=True), Constant(1.0))
    with torch.inference_mode():
        guided = guide.apply(tiny.unet(), [rule], vae=KINDS["SD 1.5"][0]())
        assert dataclasses.is_dataclass(guided.get_attachment(guide.KEY).decoder)
        assert torch.isfinite(tiny.sample(guided, steps=2)).all()
    assert guided.get_attachment(guide.KEY).decoder.name == "fast_decoder.safetensors"
