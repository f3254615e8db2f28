"""Nodes of videos, and what they reach on a batch of Shapes that stands for time."""

from __future__ import annotations

import os

import comfy.sample
import pytest
import torch
from energy_guidance.guidance_core.attention.keyframes import Keyframes
from energy_guidance.guidance_core.attention.words import Word
from energy_guidance.guidance_core.energies.color import MeanColor
from energy_guidance.guidance_core.energies.temporal import Temporal
from energy_guidance.guidance_core.energies.weighted_sum import WeightedSum
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.manifold import Manifold
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.nodes.energies.box import EnergyBox
from energy_guidance.nodes.energies.frames import FramesOfVideo
from energy_guidance.nodes.energies.loop import EnergyLoop
from energy_guidance.nodes.energies.position import EnergyPosition
from energy_guidance.nodes.energies.temporal import EnergyTemporal
from energy_guidance.nodes.host import guide, networks, shapes
from energy_guidance.nodes.inputs.keyframes import keyframes_of

RED = MeanColor(torch.tensor([1.0, 0.0, 0.0]))
WORDS, FRAMES = (Word("red", (2,)),), 4
MOVES = "0: 0.1 0.1 0.4 0.4; 1: 0.6, 0.1, 0.9, 0.4"
BOXES = Keyframes(((0.0, (0.1, 0.1, 0.4, 0.4)), (1.0, (0.6, 0.1, 0.9, 0.4))))


def test_keyframes_are_read_from_text():
    assert keyframes_of(MOVES) == keyframes_of("0: .1 .1 .4 .4\n\n1.0: .6 .1 .9 .4;") == BOXES
    assert keyframes_of("") is keyframes_of(" ; ") is None
    for text in ("0.1 0.2", "0: 0.1 x", "start: 0.1"):
        with pytest.raises(ValueError, match="expected a keyframe as a time, a colon and numbers"):
            keyframes_of(text)


def test_boxes_and_points_move_by_their_widget():
    box = EnergyBox.execute(WORDS, 0.1, 0.1, 0.5, 0.5, "layout", 1.0, "default", keyframes=MOVES)
    assert box[0].box == BOXES
    assert not box[0].batch_is_video
    still = EnergyBox.execute(WORDS, 0.1, 0.1, 0.5, 0.5, "layout", 1.0, "default", time="batch")
    assert still[0].box == (0.1, 0.1, 0.5, 0.5)
    assert still[0].batch_is_video
    settings = (WORDS, 0.1, 0.2, 0.0, 0.0, 1.0, "default")
    point = EnergyPosition.execute(*settings, keyframes="0: 0.2 0.5; 1: 0.8 0.5")
    assert point[0].target.at(0.5) == pytest.approx((0.5, 0.5))
    assert EnergyPosition.execute(*settings)[0].target == (0.1, 0.2)


def test_a_faulty_keyframe_is_refused_when_the_workflow_is_queued():
    for node in (EnergyBox, EnergyPosition):
        assert node.validate_inputs(keyframes="0: 0.1 0.2; 0: 0.3 0.4") == (
            "times of keyframes must rise, got 0, 0"
        )
        assert node.validate_inputs(keyframes="") is True
        assert node.validate_inputs() is True


def test_nodes_make_what_their_widgets_say():
    frames = FramesOfVideo.execute(RED, "random", 3, 7, "batch")[0]
    assert (frames.frames, frames.n, frames.seed, frames.batch_is_video) == ("random", 3, 7, True)
    mask = torch.ones(8, 8)
    temporal = EnergyTemporal.execute("first", "image", 2, "latent frames", 3.0, mask)[0]
    assert isinstance(temporal, WeightedSum)
    weight, inner = temporal.parts[0]
    assert (weight, inner.compare, inner.look, inner.every) == (3.0, "first", "image", 2)
    assert torch.equal(inner.mask, mask)
    assert not inner.batch_is_video
    assert EnergyLoop.execute("latent", "batch", 1.0)[0].batch_is_video


@pytest.fixture(scope="module")
def parts():
    if not (networks.ASSETS / "unet" / "config.json").is_file() and not os.environ.get("CI"):
        pytest.skip("the embedded model's weights are not in assets/shapes")
    with torch.inference_mode():
        return shapes.load()


@torch.inference_mode()
def images(parts, rule=None):
    """Images of a batch whose noise turns from one to another along it, (4, 3, 128, 128)."""
    model, clip, vae = parts
    model = model if rule is None else guide.apply(model, [rule])
    prompt = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    first, last = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    turn = torch.linspace(0, torch.pi / 4, FRAMES).view(-1, 1, 1, 1)
    noise = turn.cos() * first + turn.sin() * last
    plan = (10, 1.0, "euler", "normal", prompt, prompt, torch.zeros_like(noise))
    latent = comfy.sample.sample(model, noise, *plan, disable_pbar=True, seed=3)
    return vae.decode(latent).movedim(-1, 1)


def drift(pictures):
    colours = pictures.mean((2, 3))
    return float((colours - colours.mean(0)).square().mean().sqrt())


@pytest.mark.once
def test_drift_and_distance_of_the_ends_fall_on_shapes(parts):
    plain = images(parts)
    steady = images(parts, Manifold(Temporal(batch_is_video=True), PercentWindow(value=0.2)))
    assert drift(steady) < 0.5 * drift(plain)
    loop = EnergyLoop.execute("latent", "batch", 1.0)[0]
    looped = images(parts, Forward(loop, PercentWindow(value=0.5)))
    ends = lambda pictures: float((pictures[0] - pictures[-1]).square().mean().sqrt())
    assert ends(looped) < 0.7 * ends(plain)
