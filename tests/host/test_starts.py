"""Nodes that guide by themselves: the same bytes as the nodes that they stand for."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import comfy.sample
import comfy.samplers
import pytest
import torch
from comfy.patcher_extension import WrappersMP
from energy_guidance.guidance_core.energies.clip_text import ClipText
from energy_guidance.guidance_core.schedules import PercentWindow
from energy_guidance.guidance_core.shapes import oracle, scenes
from energy_guidance.nodes.editing.tokens import Tokens
from energy_guidance.nodes.energies.box import EnergyBox
from energy_guidance.nodes.energies.clip_text import EnergyCLIPText
from energy_guidance.nodes.host import networks, shapes
from energy_guidance.nodes.host.encode import encoded
from energy_guidance.nodes.host.recurrence import recurrent_sampler
from energy_guidance.nodes.host.run import KEY
from energy_guidance.nodes.rules.forward import RuleForward
from energy_guidance.nodes.sampling.apply_guidance import ApplyGuidance
from energy_guidance.nodes.start.fix_missing_objects import FixMissingObjects, energy_of
from energy_guidance.nodes.start.guide_with_image import COPIED, GuideWithImage
from energy_guidance.nodes.start.guide_with_text import MEDIUM, GuideWithText
from energy_guidance.nodes.start.keep_from_image import KEPT, KeepFromImage
from energy_guidance.nodes.start.place_words import PlaceWords, boxes_in
from energy_guidance.tests.host import probe, tiny

pytestmark = pytest.mark.once

NODES = (GuideWithText, GuideWithImage, KeepFromImage, FixMissingObjects, PlaceWords)
PROMPT = "a red circle and a blue square"
WHOLE = PercentWindow(0.0, 0.9)


@pytest.fixture(scope="module")
def parts():
    with torch.inference_mode():
        return shapes.load()


def started(node, **inputs):
    """The outputs of a node with its default widgets, but for what is given."""
    widgets = {i.id: i.default for i in node.define_schema().inputs if hasattr(i, "default")}
    with torch.inference_mode():
        return node.execute(**{**widgets, **inputs}).args


@torch.inference_mode()
def sampled(parts, model, positive=None, sampler="euler_ancestral", steps=4, batch=1, cfg=1.0):
    _, clip, _ = parts
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    latent = torch.zeros(batch, 4, 16, 16)
    noise = comfy.sample.prepare_noise(latent, 1)
    kind = sampler if not isinstance(sampler, str) else comfy.samplers.sampler_object(sampler)
    sigmas = comfy.samplers.calculate_sigmas(
        model.get_model_object("model_sampling"), "normal", steps
    )
    return comfy.sample.sample_custom(
        *(model, noise, cfg, kind, sigmas, positive or empty, empty, latent),
        seed=1,
        disable_pbar=True,
    )


@pytest.mark.everywhere
@pytest.mark.parametrize("node", NODES)
def test_widgets_come_in_the_order_of_the_arguments(node):
    names = [i.id for i in node.define_schema().inputs]
    assert sorted(names) == sorted(inspect.signature(node.execute).parameters)


@pytest.mark.parametrize(("strength", "times"), [("weak", 0.5), ("custom", 0.8)])
def test_guide_with_text_is_an_energy_a_rule_and_apply_guidance(parts, strength, times):
    model, _, vae = parts
    guided, trace = started(
        GuideWithText, model=model, text="a red circle", vae=vae, strength=strength, amount=0.8
    )
    energy = EnergyCLIPText.execute(
        networks.load(networks.OPEN_CLIP, "shapes"), "a red circle", "spherical", 0, True, 0, 1.0
    ).args[0]
    rule = RuleForward.execute(energy, MEDIUM * times, "relative", 0.0, WHOLE).args[0]
    with torch.inference_mode():
        long_way = ApplyGuidance.execute(model, rule, "auto", vae=vae).args[0]
    assert torch.equal(sampled(parts, guided), sampled(parts, long_way))
    assert len(trace.rows) > 0


def test_above_cfg_1_a_start_looks_at_the_positive_branch(parts):
    model, clip, vae = parts
    guided, _ = started(GuideWithText, model=model, text="a red circle", vae=vae)
    network = networks.load(networks.OPEN_CLIP, "shapes")
    energy = EnergyCLIPText.execute(network, "a red circle", "spherical", 0, True, 0, 1.0).args[0]
    prompt = {"positive": clip.encode_from_tokens_scheduled(clip.tokenize("a circle")), "cfg": 4.0}
    for look_at, same in (("positive", True), ("cfg", False)):
        rule = RuleForward.execute(energy, MEDIUM, "relative", 0.0, WHOLE, look_at=look_at).args[0]
        with torch.inference_mode():
            long_way = ApplyGuidance.execute(model, rule, "auto", vae=vae).args[0]
        found = torch.equal(sampled(parts, guided, **prompt), sampled(parts, long_way, **prompt))
        assert found is same


def test_recurrences_of_a_model_are_those_of_the_recurrent_sampler(parts):
    model, _, vae = parts
    options = {"model": model, "text": "a red circle", "vae": vae}
    once, _ = started(GuideWithText, **options)
    thrice, _ = started(GuideWithText, **options, recurrences=3)
    plain = comfy.samplers.sampler_object("euler_ancestral")
    repeated = recurrent_sampler(plain, 3, PercentWindow(0.0, 0.4))
    expected = sampled(parts, once, sampler=repeated)
    assert torch.equal(sampled(parts, thrice), expected)
    # A sampler that recurs already is not repeated again.
    assert torch.equal(sampled(parts, thrice, sampler=repeated), expected)
    assert not torch.equal(sampled(parts, once), expected)
    assert WrappersMP.SAMPLER_SAMPLE not in model.wrappers


@pytest.mark.everywhere
def test_amount_0_leaves_the_model_as_it_is(parts):
    model, clip, vae = parts
    none = {"model": model, "strength": "custom", "amount": 0.0, "recurrences": 3}
    picture = torch.zeros(1, 64, 64, 3)
    assert started(GuideWithText, **none, text="a", vae=vae)[0] is model
    assert started(GuideWithImage, **none, image=picture, vae=vae)[0] is model
    assert started(KeepFromImage, **none, image=picture, vae=vae)[0] is model
    words = {"clip": clip, "text": PROMPT}
    assert started(FixMissingObjects, **none, **words)[0] is model
    assert started(PlaceWords, **none, **words, boxes="red circle: 0 0 0.5 0.5")[0] is model


def square(side=128):
    scene = scenes.Scene((scenes.Item("square", "blue", "big", 40.0, 80.0, 20.0),))
    return scenes.render([scene], side).movedim(1, -1)


@pytest.mark.parametrize("keep", KEPT)
def test_each_that_is_kept_lowers_its_energy(parts, keep):
    model, _, vae = parts
    last = []
    for amount in (1.0, 1e-6):
        options = {"image": square(), "keep": keep, "strength": "custom", "amount": amount}
        guided, trace = started(KeepFromImage, model=model, vae=vae, **options)
        sampled(parts, guided, steps=8, sampler="euler")
        last.append(trace.rows[-1]["energy"][0])
    assert last[0] < last[1]


def test_the_kept_image_is_cut_to_the_size_of_the_latent(parts):
    model, _, vae = parts
    wide = torch.nn.functional.pad(square(), (0, 0, 64, 64))
    large = wide.repeat_interleave(2, 1).repeat_interleave(2, 2)
    latent = {"samples": torch.zeros(1, 4, 16, 16)}
    with torch.inference_mode():
        cut = encoded(model, vae, large.movedim(-1, 1), latent)
        expected = model.model.process_latent_in(vae.encode(square()))
    assert (cut - expected).square().mean() < 0.01 * expected.square().mean()
    whole, _ = started(KeepFromImage, model=model, vae=vae, image=large)
    with pytest.raises(ValueError, match="scale the image to the size of the run"):
        sampled(parts, whole)


MODELS = {
    "sdxl": (tiny.sdxl, {"pooled": 32}),
    "flux": (tiny.flux, {"pooled": 32, "width": 48, "channels": 16}),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("keep", KEPT)
def test_other_models_keep_too(name, keep):
    make, inputs = MODELS[name]
    model, channels = make(), inputs.get("channels", 4)
    encoder = SimpleNamespace(encode=lambda image: torch.ones(1, channels, 8, 8))
    picture = torch.zeros(1, 64, 64, 3)
    guided, trace = started(KeepFromImage, model=model, vae=encoder, image=picture, keep=keep)
    latents = [tiny.sample(one, **inputs) for one in (model, guided)]
    assert not torch.equal(*latents)
    assert trace.rows[0]["grad_norm"][0] > 0


def test_the_kept_image_is_shown_to_the_positive_branch_alone():
    model, seen = tiny.unet().clone(), probe.Plain()
    model.add_wrapper("apply_model", seen)
    encoder = SimpleNamespace(encode=lambda image: torch.ones(1, 4, 8, 8))
    picture = torch.zeros(1, 64, 64, 3)
    guided, _ = started(KeepFromImage, model=model, vae=encoder, image=picture)
    tiny.sample(guided, steps=2, cfg=4.0)
    # Behind its noise: the image, the negative branch, and the positive one with its graph.
    rows = [(graph, sorted(conds)) for _, graph, conds in seen.calls]
    assert rows[1:4] == [(False, [0]), (False, [1]), (True, [0])]


def test_what_only_a_queued_workflow_tells_is_left_to_the_run():
    assert GuideWithText.validate_inputs(text="a cat") is True
    assert GuideWithImage.validate_inputs() is True
    assert FixMissingObjects.validate_inputs(objects="") is True
    assert "must be a sentence" in GuideWithText.validate_inputs(text=" ")


@pytest.mark.parametrize("copy", COPIED)
def test_each_way_to_guide_with_an_image_lowers_its_energy(parts, copy):
    model, _, vae = parts
    scene = scenes.Scene((scenes.Item("square", "blue", "big", 40.0, 80.0, 28.0),))
    picture = scenes.render([scene]).movedim(1, -1)
    last = []
    for amount in (1.0, 1e-6):
        options = {"image": picture, "copy": copy, "strength": "custom", "amount": amount}
        guided, trace = started(GuideWithImage, model=model, vae=vae, **options)
        sampled(parts, guided, steps=8, sampler="euler")
        last.append(trace.rows[-1]["energy"][0])
    assert last[0] < last[1]


def test_words_are_placed_in_their_boxes(parts):
    model, clip, vae = parts
    boxes = "red circle: 0 0.25 0.5 0.75\nblue square: 0.5 0.25 1 0.75"
    guided, positive, _ = started(PlaceWords, model=model, clip=clip, text=PROMPT, boxes=boxes)
    stock = clip.encode_from_tokens_scheduled(clip.tokenize(PROMPT))
    assert torch.equal(positive[0][0], stock[0][0])
    latents = sampled(parts, guided, positive, steps=12, sampler="euler", batch=2)
    with torch.inference_mode():
        verdicts = oracle.judge(vae.decode(latents).movedim(-1, 1))
    for verdict in verdicts:
        places = {item.colour: item.x / 128 for item in verdict.items}
        assert places["red"] < 0.5 < places["blue"]


def test_boxes_are_those_of_energy_box(parts):
    model, clip, _ = parts
    guided, positive, _ = started(
        PlaceWords, model=model, clip=clip, text=PROMPT, boxes="circle: 0 0 0.5 0.5", recurrences=1
    )
    with torch.inference_mode():
        tokens = Tokens.execute(clip, PROMPT, "circle").args[0]
        energy = EnergyBox.execute(tokens, 0.0, 0.0, 0.5, 0.5, "layout", 1.0, "default").args[0]
        rule = RuleForward.execute(
            energy, 2.5, "relative", 0.0, PercentWindow(0.0, 0.6, "linear_down")
        ).args[0]
        long_way = ApplyGuidance.execute(model, rule, "auto").args[0]
    assert torch.equal(sampled(parts, guided, positive), sampled(parts, long_way, positive))


@pytest.mark.parametrize("objects", ["", "red circle\n\nblue square"])
def test_objects_are_those_of_the_prompt_or_of_the_list(parts, objects, monkeypatch):
    model, clip, _ = parts
    seen = []
    monkeypatch.setattr(
        "energy_guidance.nodes.start.fix_missing_objects.energy_of",
        lambda named, words: seen.append(named) or energy_of(named, words),
    )
    guided, positive, trace, energy = started(
        FixMissingObjects, model=model, clip=clip, text=PROMPT, objects=objects
    )
    (rule,) = guided.get_attachment(KEY).rules
    assert rule.energy is energy
    assert [phrase.words for phrase in seen[0]] == [("red", "circle"), ("blue", "square")]
    sampled(parts, guided, positive)
    assert trace.rows[0]["grad_norm"][0] > 0


def test_what_is_missing_is_said(parts):
    model, clip, _ = parts
    with pytest.raises(ValueError, match="names objects, got none"):
        started(FixMissingObjects, model=model, clip=clip, text="a painting")
    with pytest.raises(ValueError, match="not in it"):
        started(PlaceWords, model=model, clip=clip, text=PROMPT, boxes="cat: 0 0 1 1")
    for line in ("circle", "circle: 0 0 1", "circle: 0.5 0 0.5 1", ": 0 0 1 1", "circle: 0 0 2 1"):
        with pytest.raises(ValueError, match="boxes must be lines"):
            boxes_in(line)
    assert "at least one" in PlaceWords.validate_inputs(boxes=" \n")
    assert PlaceWords.validate_inputs(boxes="a: b: 0 0 1 1") is True
    assert boxes_in("a: 0 0 1 1\nb: 0 0 1 1 -20") == [
        ("a", (0, 0, 1, 1), 0),
        ("b", (0, 0, 1, 1), -20),
    ]


def test_the_network_is_the_file_that_holds_one(tmp_path, monkeypatch):
    assets = networks.ASSETS
    files = ["classifier.safetensors", "vit.safetensors", "open_clip.safetensors"]
    monkeypatch.setattr(networks, "guide_files", lambda kind: ["shapes", *files])
    monkeypatch.setattr(networks.folder_paths, "get_full_path", lambda _, file: str(assets / file))
    found = networks.load_present(networks.OPEN_CLIP, embedded=False)
    assert ClipText(found, "a red circle", cutouts=0)
    assert found.name == "open_clip.safetensors"
    files.pop()
    with pytest.raises(ValueError, match="expected an open_clip network under models/guidance"):
        networks.load_present(networks.OPEN_CLIP, embedded=False)
