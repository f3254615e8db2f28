"""Inversion, references and edit directions through the host, on tiny models and on Shapes."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import comfy.model_management
import comfy.sample
import comfy.samplers
import pytest
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from energy_guidance.guidance_core.attention.heatmaps import heatmaps
from energy_guidance.guidance_core.attention.words import Context, Word
from energy_guidance.guidance_core.captures import Attention, Features
from energy_guidance.guidance_core.procedures.white_noise import WhiteNoise, whiteness
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.guidance_core.shapes import scenes
from energy_guidance.nodes.diagnostics.figures import sheet
from energy_guidance.nodes.diagnostics.show_attention import ShowAttention
from energy_guidance.nodes.editing.edit_direction import EditDirection
from energy_guidance.nodes.editing.invert import Invert, noise_report
from energy_guidance.nodes.editing.record_reference import RecordReference
from energy_guidance.nodes.energies.shape import EnergyShape
from energy_guidance.nodes.host import edit_directions, guide, invert, networks, samplers, shapes
from energy_guidance.nodes.host.reading import layouts
from energy_guidance.tests.host import tiny

pytestmark = pytest.mark.once

THERE = (networks.ASSETS / "unet" / "config.json").is_file()
needs_shapes = pytest.mark.skipif(
    not THERE and not os.environ.get("CI"), reason="the embedded model is not in assets/shapes"
)
STEPS = 4


@pytest.fixture(scope="module")
def eps():
    return tiny.unet()


def picture(batch=2, seed=5):
    with torch.inference_mode():
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(batch, 4, 8, 8, generator=generator)


def inverted(model, iterations=1, denoise=0.5, latent=None, **options):
    with torch.inference_mode():
        widgets = (STEPS, 1.0, "euler", "normal", denoise)
        plan = samplers.plan_of(model, tiny.cond(1), None, *widgets)
        path = invert.inverted(plan, picture() if latent is None else latent, iterations, **options)
        return plan, path


def distance(a, b):
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("kind", ["eps", "v", "flow"])
def test_a_solved_inversion_paints_its_picture_again(kind):
    # The way down forgets what its last step cannot tell: begin with what it can paint.
    model = tiny.unet(kind)
    latent = tiny.sample(model, STEPS, cfg=1.0, denoise=0.5, latent=picture())
    few = inverted(model, 1, latent=latent)
    many = inverted(model, 12, latent=latent)
    errors = [distance(invert.resampled(*run), latent) for run in (few, many)]
    assert errors[1] < 1e-2
    assert errors[1] < 0.5 * errors[0]


def test_the_latent_is_what_a_stock_sampler_without_noise_takes(eps):
    plan, path = inverted(eps, 2, denoise=1.0)
    with torch.inference_mode():
        latent = invert.noisy_latent(eps, path, {"samples": picture(), "noise_mask": 1})
        stock = comfy.sample.sample(
            eps,
            torch.zeros_like(latent["samples"]),
            STEPS,
            1.0,
            "euler",
            "normal",
            tiny.cond(1),
            tiny.cond(1),
            latent["samples"],
            disable_noise=True,
            disable_pbar=True,
            seed=0,
        )
        again = invert.resampled(plan, path)
    assert "noise_mask" not in latent
    assert distance(again, stock) < 1e-4


def test_a_flow_from_full_noise_has_no_such_latent_and_says_so():
    model = tiny.unet("flow")
    _, path = inverted(model, 2, denoise=1.0)
    blocked = invert.noisy_latent(model, path, {"samples": picture()})
    assert isinstance(blocked, ExecutionBlocker)
    assert "noise output" in blocked.message
    _, half = inverted(model, 2, denoise=0.5)
    assert torch.isfinite(invert.noisy_latent(model, half, {})["samples"]).all()


def test_flux_is_inverted_and_repainted_from_full_noise():
    model, cond = tiny.flux(), tiny.cond(1, 48, pooled_output=torch.ones(1, 32))
    with torch.inference_mode():
        plan = samplers.plan_of(model, cond, None, STEPS, 1.0, "euler", "simple")
        start = tiny.latent(1, channels=16)["samples"] + 1e-3
        noise = comfy.sample.prepare_noise(start, 3)
        euler = comfy.samplers.sampler_object("euler")
        latent = plan.run(euler, noise, start)
        path = invert.inverted(plan, latent, 20)
        again = invert.resampled(plan, path)
    assert float(path.sigmas[0]) == 1
    assert distance(again, latent) < 1e-2
    assert distance(path.states[0], noise) < 0.1


def test_the_noise_is_for_its_own_latent(eps):
    _, path = inverted(eps, 1)
    noise = invert.PathNoise(path, eps)
    assert noise.generate_noise({"samples": picture()}).shape == picture().shape
    with pytest.raises(ValueError, match="connect the latent that was inverted"):
        noise.generate_noise({"samples": picture(1)})


def test_white_noise_changes_the_path(eps):
    _, plain = inverted(eps, 1)
    _, white = inverted(eps, 1, white_noise=WhiteNoise(1000.0, steps=1, rolls=1))
    assert torch.isfinite(white.states).all()
    assert not torch.equal(plain.states[0], white.states[0])
    assert torch.equal(plain.states[-1], white.states[-1])


@pytest.mark.parametrize("kind", ["eps", "flow"])
def test_the_report_says_how_white_the_noise_is(kind):
    """The noise with which the host begins, which for a path of white noise is that noise."""
    model = tiny.unet(kind)
    noise = comfy.sample.prepare_noise(torch.zeros(2, 4, 16, 16), 3)
    _, path = inverted(model, latent=picture(), denoise=1.0)
    begun = invert.scaled(model, path.sigmas[0], noise[..., :8, :8], path.states[-1])
    top = torch.cat([begun[None], path.states[1:]])
    report = noise_report(replace(path, states=top), model)
    times, divergence = whiteness(noise[..., :8, :8]).mean(0).tolist()
    assert f"self-correlation {times:.1f} times white" in report
    assert report.endswith(f"variance {divergence:.2f}\n")


def test_a_sample_alone_is_inverted_as_in_its_batch(eps):
    _, together = inverted(eps, 2)
    _, alone = inverted(eps, 2, latent=picture()[1:])
    assert distance(together.states[:, 1:], alone.states) < 1e-4


def test_impossible_inversions_are_refused_before_the_model_runs(eps):
    with pytest.raises(ValueError, match="VAE Encode"):
        inverted(eps, latent=torch.zeros(1, 4, 8, 8))
    with pytest.raises(ValueError, match="negative prompt"):
        samplers.plan_of(eps, tiny.cond(1), None, STEPS, 3.0, "euler", "normal")


def test_cancel_stops_an_inversion(eps, monkeypatch):
    def stop():
        raise comfy.model_management.InterruptProcessingException

    monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", stop)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        inverted(eps, 1)


WORDS = (Word("red", (2,)), Word("circle", (3, 4)))


def recorded(model, **inputs):
    defaults = {
        "seed": 1,
        "steps": 3,
        "cfg": 1.0,
        "scheduler": "normal",
        "denoise": 1.0,
        "sampler_name": "euler",
        "maps": True,
        "features": True,
        "layers": "default",
    }
    with torch.inference_mode():
        output = RecordReference.execute(model, tiny.cond(1), **{**defaults, **inputs})
        reference, latent, _ = output.args
        return reference, latent


def test_a_painted_source_is_the_stock_picture_and_its_captures(eps):
    reference, latent = recorded(eps, latent_image=tiny.latent(2))
    with torch.inference_mode():
        plan = samplers.plan_of(eps, tiny.cond(1), None, 3, 1.0, "euler", "normal")
        plain = samplers.sample(plan, "euler", 1, tiny.latent(2))
    assert torch.equal(latent["samples"], plain["samples"])
    assert len(reference.recorded) == 3
    maps = reference.at(1e9, Attention((2, 3)))
    assert all(part.shape[:2] == (2, 2) for part in maps)
    assert all(part.dtype == torch.float16 and not part.is_inference() for part in maps)
    assert reference.at(1e9, Features())
    assert reference.size == (8, 8)


def test_words_alone_take_less_memory(eps):
    whole, _ = recorded(eps, latent_image=tiny.latent(), features=False)
    words, _ = recorded(eps, latent_image=tiny.latent(), features=False, tokens=WORDS)
    assert words.nbytes * 7 == whole.nbytes * 3
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            words.at(1.0, Attention((2, 4))), whole.at(1.0, Attention((2, 4))), strict=True
        )
    )


def test_named_layers_are_those_of_maps_and_those_of_features(eps):
    there = layouts.layout_of(eps.model.diffusion_model)
    maps, features = (next(reversed(names)) for names in (there.attention, there.features))
    latent = tiny.latent()
    both, _ = recorded(eps, latent_image=latent, layers=f"{features}, {maps}")
    assert both.at(1.0, Attention((2,), (maps,)))
    assert both.at(1.0, Features((features,)))
    one, _ = recorded(eps, latent_image=latent, layers=maps)
    assert one.at(1.0, Attention((2,), (maps,)))
    assert one.at(1.0, Features())
    with pytest.raises(ValueError, match=f"no layer nowhere.*{re.escape(features)}"):
        recorded(eps, latent_image=latent, layers=f"{maps}, nowhere")


def test_a_source_with_a_path_is_watched_at_the_very_states_of_it(eps):
    _, path = inverted(eps, 1)
    reference, latent = recorded(eps, path=path, features=False)
    assert distance(latent["samples"], picture()) < 1e-5
    assert sorted(reference.recorded) == sorted(path.sigmas[:-1].tolist())
    other = invert.Path(path.sigmas, path.states + 1.0)
    elsewhere, _ = recorded(eps, path=other, features=False)
    top = float(path.sigmas[0])
    assert not torch.equal(reference.at(top, Attention())[0], elsewhere.at(top, Attention())[0])


def test_a_source_of_nothing_is_refused(eps):
    with pytest.raises(ValueError, match="latent_image to be sampled from, or a path"):
        recorded(eps)
    with pytest.raises(ValueError, match="maps, features or both"):
        recorded(eps, latent_image=tiny.latent(), maps=False, features=False)
    with pytest.raises(ValueError, match="negative prompt"):
        recorded(eps, latent_image=tiny.latent(), cfg=2.0)


@needs_shapes
def test_a_real_picture_comes_back_within_35_decibels():
    generator = torch.Generator().manual_seed(4)
    pixels = scenes.render([scenes.random_scene(generator, 1) for _ in range(2)]).movedim(1, -1)
    with torch.inference_mode():
        model, clip, vae = shapes.load()
        empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
        latent = {"samples": vae.encode(pixels)}
        plan = (50, 1.0, "normal", 1.0, 1, 0.0, True)
        _, path, _, report = Invert.execute(model, empty, latent, *plan, vae=vae).args
    assert path.states.shape[0] == 51
    assert float(report.split("worst image ")[1]) > 35


@needs_shapes
def test_a_direction_between_two_prompts_leads_from_one_to_the_other():
    with torch.inference_mode():
        clip = shapes.load_clip()
        encode = lambda text: clip.encode_from_tokens_scheduled(clip.tokenize(text))
        circle, square = encode("a red circle"), encode("a red square")
        texts = (["a red circle"], ["a red square"])
        moved = edit_directions.edited(clip, circle, *texts, 1.0)
        assert distance(moved[0][0], square[0][0]) < 1e-5
        assert distance(moved[0][1]["pooled_output"], square[0][1]["pooled_output"]) < 1e-5
        assert torch.equal(edit_directions.edited(clip, circle, *texts, 0.0)[0][0], circle[0][0])
        wide = [[torch.zeros(1, 77, 7), {}]]
        with pytest.raises(ValueError, match="7 channels"):
            edit_directions.edited(clip, wide, *texts, 1.0)
        with pytest.raises(ValueError, match="at least one sentence"):
            edit_directions.edited(clip, circle, [], ["a"], 1.0)


@needs_shapes
def test_words_are_put_into_sentences_of_their_kind_or_into_own_ones():
    with torch.inference_mode():
        clip = shapes.load_clip()
        circle = clip.encode_from_tokens_scheduled(clip.tokenize("a red circle"))
        moved = lambda *parts: EditDirection.execute(clip, circle, *parts).args[0][0][0]
        own = moved("circle\n", "square", 1.0, "own templates", "a red {}\na blue {}")
        written = "a red {0}\na blue {0}"
        assert torch.equal(own, moved(*map(written.format, ("circle", "square")), 1.0))
        kind = moved("circle", "square", 1.0, "shape")
        assert torch.equal(moved("circle", "square", 1.0, "by word"), kind)
        assert not torch.equal(kind, own)
        with pytest.raises(ValueError, match="in place of the word, got 'a red'"):
            moved("circle", "square", 1.0, "own templates", "a red")
    refused = EditDirection.validate_inputs("own templates", "")
    assert "in place of the word, got none" in refused
    assert EditDirection.validate_inputs("by word", "") is True


def test_words_of_the_sources_own_prompt_guide_a_prompt_of_another_length(eps):
    reference, _ = recorded(eps, latent_image=tiny.latent(), features=False)
    longer = tiny.cond(3)
    longer[0][0] = torch.cat([longer[0][0], tiny.cond(4)[0][0][:, :2]], 1)
    here = (Word("circle", (8,), True, Context(longer[0][0])),)
    # The second word of the recorded prompt, of two tokens.
    there = (Word("circle", (2, 3), True, Context(tiny.cond(1)[0][0])),)

    def painted(words, strength=1.0):
        with torch.inference_mode():
            energy = EnergyShape.execute(
                here, 0.0, 0.0, 1.0, 1.0, "default", reference=reference, source_tokens=words
            ).args[0]
            rule = Forward(energy, Constant(strength))
            return tiny.sample(guide.apply(eps, [rule]), 3, cfg=1.0, positive=longer)

    guided = painted(there)
    assert torch.isfinite(guided).all()
    assert not torch.equal(guided, painted(there, 0.0))
    # The context of the source's words is not looked for in this run.
    assert torch.equal(guided, painted(tuple(replace(word, context=None) for word in there)))
    with pytest.raises(ValueError, match="a prompt of 7 places, this run's has 9"):
        painted(None)


def test_attention_is_drawn_a_sheet_a_picture(eps):
    reference, _ = recorded(eps, latent_image=tiny.latent(2), features=False)
    sigmas = sorted(reference.recorded, reverse=True)[:2]
    maps = torch.stack([heatmaps(reference, WORDS, sigma, (16, 16)) for sigma in sigmas])
    words = [word.text for word in WORDS]
    bare = sheet(maps[:, 0], words, sigmas, None)
    assert bare.shape[0] == 1
    assert bare.shape[3] == 3
    assert bare.std() > 0.05
    over = sheet(maps[:, 0], words, sigmas, torch.ones(16, 16, 3))
    assert over.shape == bare.shape
    assert not torch.equal(over, bare)
    pictures = torch.zeros(3, 16, 16, 3)
    with pytest.raises(ValueError, match="the 2 images of the reference, got 3"):
        ShowAttention.execute(reference, WORDS, 2, pictures)
