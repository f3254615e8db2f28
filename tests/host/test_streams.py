"""A video with its sound in one latent: rules see the video, the sound follows the model."""

from __future__ import annotations

import pytest
import torch
from energy_guidance.guidance_core.attention.words import Word
from energy_guidance.guidance_core.energies.attention_keep import AttentionKeep
from energy_guidance.guidance_core.energies.position import Position
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.host import guide, record, samplers
from energy_guidance.nodes.host.streams import Streams
from energy_guidance.tests.host import families, tiny
from energy_guidance.tests.host.families import columns

NAMES = [name for name in ("LTX-2 with sound", "MiniMax-H3") if name in families.FAMILIES]
RULE = Forward(columns.ENERGY, Constant(0.5))
HAS_SOUND = pytest.mark.parametrize("name", NAMES)


def latents(name, rules=(), **options):
    with torch.inference_mode():
        model = families.model(name)
        model = guide.apply(model, rules) if rules else model
        settings = {"steps": 1, **families.FAMILIES[name].options(), **options}
        return tiny.sample(model, **settings).unbind()


def test_the_first_latent_is_found_and_put_back():
    video, sound = families.draw(1, 2, 4, 3, 5, 6), families.draw(2, 2, 8, 7)
    packed = torch.cat([part.flatten(1).unsqueeze(1) for part in (video, sound)], -1)
    streams = Streams([video.shape, sound.shape])
    assert streams.first(packed).equal(video)
    assert streams.joined(video + 1, packed)[..., : video[0].numel()].equal(
        (video + 1).flatten(1).unsqueeze(1)
    )
    assert streams.joined(video, packed).equal(packed)


@pytest.mark.parametrize("shapes", [None, [(1, 4, 8, 8)]])
def test_a_single_latent_is_what_it_is(shapes):
    latent = families.draw(1, 1, 4, 8, 8)
    assert Streams(shapes).first(latent) is latent
    assert Streams(shapes).joined(latent, latent) is latent


@HAS_SOUND
@pytest.mark.parametrize("cfg", [1.0, 4.0])
def test_one_step_moves_the_video_and_leaves_the_sound(name, cfg):
    video, sound = latents(name, cfg=cfg)
    guided, beside = latents(name, [RULE], cfg=cfg)
    assert columns.apart(guided, video) > 1e-3
    torch.testing.assert_close(beside, sound, rtol=1e-3, atol=1e-4)


@HAS_SOUND
def test_the_sound_hears_the_video_in_later_steps(name):
    _, sound = latents(name, steps=2)
    assert not latents(name, [RULE], steps=2)[1].equal(sound)


@HAS_SOUND
def test_samplers_that_take_noise_from_the_unconditional_estimate(name):
    assert torch.isfinite(latents(name, [RULE], steps=2, sampler="euler_cfg_pp")[0]).all()


PLACE = Forward(Position((Word("a", (1,)),), (0.3, 0.7)), Constant(0.5))


@pytest.mark.skipif("LTX-2 with sound" not in NAMES, reason="an older ComfyUI")
def test_words_are_placed_in_the_video_and_the_sound_is_left():
    name = "LTX-2 with sound"
    video, sound = latents(name)
    guided, beside = latents(name, [PLACE])
    assert columns.apart(guided, video) > 1e-3
    torch.testing.assert_close(beside, sound, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif("LTX-2 with sound" not in NAMES, reason="an older ComfyUI")
def test_attention_of_a_recorded_video_is_kept_and_its_path_says_that_there_is_none():
    name = "LTX-2 with sound"
    model, given = families.model(name), families.FAMILIES[name].options()
    with torch.inference_mode():
        wanted = record.requests(model, None, True, False, "default")
        watched, reference_of = record.watched(model, wanted)
        prompts = given["negative"], given["negative"]
        plan = samplers.plan_of(watched, *prompts, 1, 1.0, "euler", "normal", 1.0)
        done, path = record.sampled(plan, "euler", 1, {"samples": given["latent"]})
    assert "got a video with its sound" in path.message
    keep = AttentionKeep(reference_of(done["samples"]), (Word("a", (1,)),))
    guided, _ = latents(name, [Forward(keep, Constant(0.5))])
    assert columns.apart(guided, latents(name)[0]) > 1e-4


@pytest.mark.skipif("MiniMax-H3" not in NAMES, reason="an older ComfyUI")
def test_attention_of_a_network_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="features can be read"):
        latents("MiniMax-H3", [PLACE])
