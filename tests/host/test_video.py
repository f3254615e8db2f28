"""Videos: what a frame shows is what the whole video shows there, and guidance of all frames."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from energy_guidance.guidance_core.attention.keyframes import Keyframes
from energy_guidance.guidance_core.attention.words import Word
from energy_guidance.guidance_core.energies.box import Box
from energy_guidance.guidance_core.energies.color import MeanColor
from energy_guidance.guidance_core.energies.frames import Frames
from energy_guidance.guidance_core.energies.loop import Loop
from energy_guidance.guidance_core.energies.temporal import Temporal
from energy_guidance.guidance_core.rules.backward import Backward
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.latent_update import LatentUpdate
from energy_guidance.guidance_core.rules.manifold import Manifold
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.guidance_core.trace import Record
from energy_guidance.nodes.host import decode, guide
from energy_guidance.nodes.host.autograd.weights import Loan
from energy_guidance.tests.host import families, probe, tiny

RED = MeanColor(torch.tensor([1.0, 0.0, 0.0]))
ON = Constant(0.5)
VAES = {"Wan 2.1": tiny.wan_vae, "LTX-Video": tiny.ltx_vae, "Wan 2.1, tiny": tiny.tiny_video_vae}
if importlib.util.find_spec("comfy.taesd.taehv") is None:
    del VAES["Wan 2.1, tiny"]
EACH_VAE = pytest.mark.parametrize("name", VAES)
# Of text to video, and of a batch that stands for time.
VIDEOS = [name for name in ("Wan 2.1", "HunyuanVideo", "LTX-Video") if name in families.FAMILIES]
BATCH = "Stable Video Diffusion"


def decoder_of(name):
    """A decoder of videos, and its network."""
    vae, family = VAES[name](), families.model(name.partition(",")[0])
    with torch.inference_mode():
        return decode.decoder("vae", vae, family.model.latent_format), vae.first_stage_model


def latent(name, frames, seed=6):
    shape = families.FAMILIES[name.partition(",")[0]].latent
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, shape[0], frames, 2, 2, generator=generator) * 0.5


@EACH_VAE
def test_a_frame_shows_what_the_whole_video_shows(name):
    reader, network = decoder_of(name)
    x = latent(name, 3)
    with torch.no_grad(), Loan(network)():
        whole = reader._decoded(x)
        each = (whole.shape[2] - 1) // 2
        frames = [reader.frame(x, index) for index in range(3)]
    assert whole.shape[2] > 3 or name == "LTX-Video"
    for index, frame in enumerate(frames):
        assert frame.shape == (1, 3, *whole.shape[-2:])
        torch.testing.assert_close(frame, whole[:, :, index * each], rtol=1e-3, atol=1e-4)


@EACH_VAE
def test_the_whole_video_is_what_the_host_decodes(name):
    reader, network = decoder_of(name)
    x = latent(name, 3)
    with torch.no_grad(), Loan(network)():
        whole = reader._decoded(x)
    with torch.inference_mode():
        torch.manual_seed(0)  # LTX draws noise
        stock = reader.vae.decode(reader.latent_format.process_out(x)).movedim(-1, 1).clamp(0, 1)
    torch.testing.assert_close(whole, stock.float(), rtol=1e-3, atol=1e-4)


@EACH_VAE
def test_the_image_of_a_frame_has_the_right_slope(name):
    reader, network = decoder_of(name)
    x = latent(name, 3)
    with torch.no_grad(), Loan(network)():
        shape = reader.frame(x, 1).shape
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(5))

    def value(one):
        return (
            reader.frame(torch.cat([x[:, :, :1], one, x[:, :, 2:]], 2), 1).double() * weight
        ).sum()

    with Loan(network)():
        one = x[:, :, 1:2].clone().requires_grad_()
        (grad,) = torch.autograd.grad(value(one), one)
        direction = grad / grad.square().mean().sqrt()
        with torch.no_grad():
            difference = (value(one + 1e-3 * direction) - value(one - 1e-3 * direction)) / 2e-3
    assert float((grad * direction).sum()) == pytest.approx(float(difference), rel=3e-2)


def test_noise_of_a_decoder_is_not_taken_from_the_run():
    reader, network = decoder_of("LTX-Video")
    x = latent("LTX-Video", 2)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    with torch.no_grad(), Loan(network)():
        first, again = reader.frame(x, 1), reader.frame(x, 1)
    assert torch.equal(first, again)
    assert torch.equal(torch.rand(1), expected)


def test_memory_is_asked_for_one_frame_and_what_it_is_decoded_by():
    reader, _ = decoder_of("LTX-Video")
    many, few = (reader.graph_bytes(torch.Size([1, 128, count, 4, 4])) for count in (50, 3))
    assert many == few > 0


def sampled(family, rule, frames=3, steps=1, vae=None, decoder="auto", batch=1):
    records = []
    options = families.FAMILIES[family].options(batch)
    if options["latent"].ndim == 5:
        options["latent"] = options["latent"][:, :, :1].repeat_interleave(frames, 2)
    with torch.inference_mode():
        model = families.model(family)
        rules = rule if isinstance(rule, list) else [rule] if rule else []
        guided = guide.apply(model, rules, vae=vae, decoder=decoder, trace=records.append)
        out = tiny.sample(guided if rules else model, steps=steps, cfg=1.0, **options)
    return out, records


ENERGIES = {
    "frames": Frames(RED, "every", 2),
    "a frame a step": RED,
    "temporal": Temporal(),
    "temporal, image": Temporal("first", "image"),
    "loop": Loop(),
    "loop, image": Loop("image"),
}


@pytest.mark.parametrize("family", VIDEOS)
@pytest.mark.parametrize("energy", ENERGIES.values(), ids=ENERGIES.keys())
def test_videos_have_the_right_slope(family, energy):
    # the first frame is a constant to those that are compared with it
    if getattr(energy, "compare", "") == "first":
        energy = Temporal("previous", energy.look)
    _, records = sampled(family, probe.Slopes(energy, step=3e-3), steps=3, decoder="rgb")
    probe.agree(records[1])


@dataclass(frozen=True)
class After:
    """Records an energy of the estimate that inner rules have moved."""

    energy: Any
    through_model: ClassVar[bool] = False

    def __call__(self, denoise, x, sigma, run):
        estimate = denoise(x, sigma)
        value = self.energy(estimate)
        run.record(Record("After", float(sigma[0]), value, value, value))
        return estimate


def lowered(family, rule, energy, **options):
    """Whether one step of a rule lowers an energy."""
    after, before = (
        sampled(family, [*rules, After(energy)], **options)[1][-1].energy
        for rules in ([rule(energy, Constant(0.002))], [])
    )
    return bool((after < before).all())


@pytest.mark.once
@pytest.mark.parametrize("rule", [Forward, Backward, Manifold, LatentUpdate])
@pytest.mark.parametrize("family", VIDEOS)
def test_every_rule_lowers_what_videos_are_asked(family, rule):
    for energy in (Frames(RED, n=1), Temporal(), Loop("image")):
        assert lowered(family, rule, energy, decoder="rgb")


@pytest.mark.parametrize("family", [*VIDEOS, BATCH])
def test_strength_0_is_bit_identical(family):
    stock, _ = sampled(family, None, steps=2)
    batch = family == BATCH
    for energy in (Temporal(batch_is_video=batch), Loop(batch_is_video=batch)):
        guided, records = sampled(family, Forward(energy, Constant(0.0)), steps=2)
        assert torch.equal(guided, stock)
        assert not records


@pytest.mark.parametrize(
    ("name", "energy"),
    [
        *((name, Frames(RED, "last")) for name in VAES),
        ("LTX-Video", Temporal(look="image")),
        ("LTX-Video", RED),
    ],
)
def test_a_video_is_guided_by_the_images_of_its_frames(name, energy):
    family = name.partition(",")[0]
    rule = Manifold(energy, ON)
    _, records = sampled(family, rule, frames=2, vae=VAES[name]())
    assert records[0].grad_norm > 0
    assert records[0].energy.isfinite()


@pytest.mark.parametrize("family", VIDEOS)
@pytest.mark.parametrize("loss", ["layout", "boxdiff"])
def test_a_box_that_moves_has_the_right_slope(family, loss):
    path = Keyframes(((0.0, (0.0, 0.0, 0.5, 0.5)), (1.0, (0.5, 0.5, 1.0, 1.0))))
    energy = Box((Word("red", (2,)),), path, loss)
    _, records = sampled(family, probe.Slopes(energy, step=3e-3), steps=3)
    probe.agree(records[1])
    still = Box((Word("red", (2,)),), path.at(0.0), loss)
    _, others = sampled(family, probe.Slopes(still, step=3e-3), steps=3)
    assert records[1].energy != others[1].energy


def test_a_sample_of_a_video_alone_is_the_sample_in_a_batch():
    rule = Forward(Frames(RED, "random", seed=4), ON)
    both, _ = sampled("Wan 2.1", rule, batch=2, decoder="rgb")
    alone, _ = sampled("Wan 2.1", rule, batch=1, decoder="rgb")
    torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "energy",
    [
        Frames(RED, "every", 2, batch_is_video=True),
        Temporal(batch_is_video=True),
        Loop("image", batch_is_video=True),
    ],
)
def test_a_batch_that_stands_for_time_has_the_right_slope(energy):
    _, records = sampled(BATCH, probe.Slopes(energy, step=3e-3), steps=3, decoder="rgb")
    probe.agree(records[1])
    assert records[1].energy.shape == (3,)


@pytest.mark.parametrize("rule", [Backward, Manifold])
def test_a_batch_that_stands_for_time_is_guided(rule):
    for energy in (Temporal(batch_is_video=True), Loop(batch_is_video=True)):
        assert lowered(BATCH, rule, energy)


@pytest.mark.parametrize(
    ("family", "energy", "frames", "message"),
    [
        ("Wan 2.1", Temporal(), 1, "a video of two frames or more, got one frame"),
        ("SD 1.5", Loop(), 1, "a video of two frames or more, got one frame"),
        ("SD 1.5", Loop(batch_is_video=True), 1, "got one frame"),
        ("Wan 2.1", Loop(batch_is_video=True), 3, "are videos themselves: set its time to latent"),
    ],
)
def test_what_needs_a_video_is_refused_before_the_model_runs(family, energy, frames, message):
    records = []
    rules = [probe.Slopes(energy)]
    options = families.FAMILIES[family].options()
    if options["latent"].ndim == 5:
        options["latent"] = options["latent"].repeat_interleave(frames, 2)
    with torch.inference_mode():
        guided = guide.apply(families.model(family), rules, trace=records.append)
    with pytest.raises(ValueError, match=message):
        tiny.sample(guided, steps=1, cfg=1.0, **options)
    assert not records
