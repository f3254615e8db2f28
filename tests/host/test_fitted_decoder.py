"""Fast decoders in the host: which one is taken, and its gradient."""

from __future__ import annotations

import dataclasses

import comfy.latent_formats
import folder_paths
import pytest
import torch
from comfy.taesd.taesd import TAESD
from energy_guidance.guidance_core.energies.measurement import Measurement
from energy_guidance.guidance_core.energies.weighted_sum import WeightedSum
from energy_guidance.guidance_core.image.degradations import GaussianBlur
from energy_guidance.guidance_core.networks import fast_decoder
from energy_guidance.guidance_core.networks.fast_decoder import Card
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.manifold import Manifold
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.guidance_core.trace import Trace
from energy_guidance.nodes.host import decode, guide, shapes
from energy_guidance.nodes.host.autograd.weights import Loan
from energy_guidance.nodes.host.fitted_decoder import FittedDecoder, fitted_decoder
from energy_guidance.nodes.host.vae_decoder import VaeDecoder
from energy_guidance.tests.host import encoders, probe, tiny
from safetensors.torch import save_file

pytestmark = pytest.mark.once

FORMAT = comfy.latent_formats.SD15()
CARD = Card("SD15", channels=4, scale=8, width=16, blocks=1)
KINDS = {"vae": VaeDecoder, "taesd": decode.TaesdDecoder, "fitted": FittedDecoder}


@pytest.fixture(scope="module")
def vae():
    return encoders.image_vae(4)


@pytest.fixture
def holding(tmp_path, monkeypatch):
    """Makes models/vae_approx hold these fast decoders by name, and SD 1.5's tiny one."""

    def hold(tiny_too=False, **cards):
        folder = tmp_path / f"{len(cards)}{tiny_too}"
        folder.mkdir()
        for name, card in cards.items():
            fast_decoder.save(fast_decoder.untrained(card), folder / f"{name}.safetensors")
        if tiny_too:
            network = TAESD().taesd_decoder.requires_grad_(False)
            tiny._filled(network)
            torch.save(network.state_dict(), folder / "taesd_decoder.pth")
        paths = ([str(folder)], {".safetensors", ".pth"})
        monkeypatch.setitem(folder_paths.folder_names_and_paths, "vae_approx", paths)
        return folder

    return hold


def looking(strength=1.0):
    return Forward(probe.Nearness(reads_image=True), PercentWindow(value=strength))


def test_auto_takes_the_tiny_one_then_a_fitted_one_then_the_vae(holding, vae):
    holding()
    assert isinstance(decode.decoder("auto", vae, FORMAT), VaeDecoder)
    assert decode.decoder("auto", None, FORMAT) is None
    holding(own=CARD)
    for given in (vae, None):
        chosen = decode.decoder("auto", given, FORMAT)
        assert isinstance(chosen, FittedDecoder)
        assert chosen.name == "own.safetensors"
    holding(tiny_too=True, own=CARD)
    assert decode.decoder("auto", vae, FORMAT).name == "taesd_decoder.pth"
    for choice, kind in KINDS.items():
        assert isinstance(decode.decoder(choice, vae, FORMAT), kind)


def test_of_several_the_first_by_name_of_these_latents(holding):
    other = dataclasses.replace(CARD, latent_format="SDXL")
    holding(a=other, c=CARD, b=dataclasses.replace(CARD, width=24))
    assert decode.decoder("fitted", None, FORMAT).name == "b.safetensors"
    sdxl = decode.decoder("fitted", None, comfy.latent_formats.SDXL())
    assert sdxl.name == "a.safetensors"


def test_without_a_file_fitted_says_what_to_do(holding):
    holding(other=dataclasses.replace(CARD, channels=16, latent_format="Flux"))
    with pytest.raises(ValueError, match=r"fast decoder of SD15 latents .* Fit Fast Decoder"):
        decode.decoder("fitted", None, FORMAT)


def test_a_vae_of_other_latents_is_refused_whatever_decodes(holding, vae):
    holding(own=dataclasses.replace(CARD, channels=16, latent_format="Flux"))
    with pytest.raises(ValueError, match="connect the VAE that belongs to the model"):
        decode.decoder("auto", vae, comfy.latent_formats.Flux())


def test_its_gradient_is_that_of_differences(holding):
    with torch.inference_mode():
        folder = holding(own=CARD)
        reader = fitted_decoder(folder / "own.safetensors")
    reader.network.double()
    x0 = torch.randn(2, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(reader, (x0,))
    assert reader(x0).shape == (2, 3, 24, 24)


def test_a_row_alone_is_that_row_in_a_batch(holding):
    reader = fitted_decoder(holding(own=CARD) / "own.safetensors")
    x0 = torch.randn(3, 4, 5, 5)
    torch.testing.assert_close(reader(x0)[1:2], reader(x0[1:2]))


@pytest.mark.everywhere
def test_guiding_by_it_leaves_everything_as_it_was(holding, vae):
    holding(own=CARD)
    trace = Trace()
    with torch.inference_mode():
        model = tiny.unet()
        plain = tiny.sample(model, steps=2)
        guided = guide.apply(model, [looking()], vae=vae, decoder="auto", trace=trace)
        moved = tiny.sample(guided, steps=2)
        assert torch.equal(tiny.sample(guided, steps=2), moved)
        assert torch.equal(tiny.sample(model, steps=2), plain)
        still = guide.apply(model, [looking(0.0)], vae=vae, decoder="auto")
        assert torch.equal(tiny.sample(still, steps=2), plain)
    assert not torch.equal(moved, plain)
    assert trace.decoder == "own.safetensors"


def test_a_projection_keeps_the_vae(holding, vae):
    holding(own=CARD)
    rule = Manifold(probe.Nearness(), PercentWindow(), projected=True)
    projecting = guide.apply(tiny.unet(), [rule], vae=vae)
    assert isinstance(projecting.get_attachment(guide.KEY).decoder, VaeDecoder)
    stacked = guide.apply(projecting, [looking()], vae=vae)
    assert isinstance(stacked.get_attachment(guide.KEY).decoder, VaeDecoder)


def test_a_measurement_keeps_the_vae(holding, vae):
    holding(own=CARD)
    blurred = Measurement(torch.zeros(1, 3, 64, 64), GaussianBlur(1.0))
    for energy in (blurred, WeightedSum(((0.5, blurred), (1.0, probe.Nearness(reads_image=True))))):
        guided = guide.apply(tiny.unet(), [Forward(energy, PercentWindow())], vae=vae)
        assert isinstance(guided.get_attachment(guide.KEY).decoder, VaeDecoder)


def test_rules_that_look_at_no_image_leave_the_decoder_of_others_alone(holding, vae):
    holding(own=CARD)
    exact = guide.apply(tiny.unet(), [looking()], vae=vae, decoder="vae")
    stacked = guide.apply(exact, [Forward(probe.Nearness(), PercentWindow())], vae=vae)
    assert isinstance(stacked.get_attachment(guide.KEY).decoder, VaeDecoder)


def test_of_a_video_the_vae_decodes_and_of_one_frame_the_fast_one(holding):
    folder = holding(own=Card("Wan21", channels=16, scale=8, width=16, blocks=1))
    asked = []

    @dataclasses.dataclass
    class Exact:
        patchers = ()

        def frame(self, x0, index):
            asked.append(index)
            return torch.zeros(1, 3, 8, 8)

    reader = fitted_decoder(folder / "own.safetensors", Exact())
    video = torch.randn(1, 16, 3, 2, 2)
    assert reader(video[:, :, :1]).shape == (1, 3, 16, 16)
    assert torch.equal(reader.frame(video[:, :, :1], 0), reader(video[:, :, 0]))
    reader.frame(video, 2)
    assert asked == [2]
    alone = fitted_decoder(folder / "own.safetensors")
    assert torch.equal(alone.frame(video, 2), reader(video[:, :, 2]))


def test_memory_is_asked_for_what_the_graph_keeps(holding):
    reader = fitted_decoder(holding(own=CARD) / "own.safetensors")
    kept = []
    x0 = torch.randn(2, 4, 8, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        reader(x0)
    weights = {weight.data_ptr() for weight in reader.network.parameters()}
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in kept}
    saved = sum(size for place, size in storages.items() if place not in weights)
    assert saved <= reader.graph_bytes(x0.shape) <= 2 * saved


@pytest.mark.parametrize(
    ("family", "name", "channels", "scale"),
    [
        ("Wan21", "lighttaew2_1", 16, 8),
        ("Wan22", "lighttaew2_2", 48, 16),
        ("HunyuanVideo15", "lighttaehy1_5", 32, 16),
        ("LTXAV", "taeltx_2", 128, 32),
    ],
)
def test_auto_takes_the_tiny_decoders_of_videos(holding, family, name, channels, scale):
    taehv = pytest.importorskip("comfy.taesd.taehv")
    folder = holding(other=CARD)
    with torch.inference_mode():
        network = taehv.TAEHV(latent_channels=channels)
        tiny._filled(network)
        save_file(network.state_dict(), folder / f"{name}.safetensors")
        folder_paths.filename_list_cache.pop("vae_approx", None)
        latent_format = getattr(comfy.latent_formats, family)()
        reader = decode.decoder("auto", None, latent_format)
    assert isinstance(reader, VaeDecoder)
    assert reader.name == f"{name}.safetensors"
    x0 = torch.randn(1, channels, 1, 2, 2) * 0.2
    with torch.no_grad(), Loan(reader.vae.first_stage_model)():
        assert reader(x0).shape == (1, 3, 2 * scale, 2 * scale)


@pytest.mark.everywhere
def test_shapes_brings_its_own(holding):
    holding()
    with torch.inference_mode():
        latent_format = shapes.load_model().get_model_object("latent_format")
        vae = shapes.load_vae()
        chosen = decode.decoder("auto", vae, latent_format)
    assert chosen.name == "fast_decoder.safetensors"
    assert isinstance(decode.decoder("vae", vae, latent_format), VaeDecoder)
