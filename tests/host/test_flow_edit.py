"""Flow Edit in a real ComfyUI: its laws, and the published algorithm by the stock guider."""

from __future__ import annotations

from itertools import pairwise

import comfy.sample
import comfy.samplers
import pytest
import torch
from energy_guidance.guidance_core.energies.attention_keep import AttentionKeep
from energy_guidance.guidance_core.energies.color import MeanColor
from energy_guidance.guidance_core.noise import seeded_noise
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.rules.manifold import Manifold
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.editing.flow_edit import FlowEdit
from energy_guidance.nodes.editing.invert import Invert
from energy_guidance.nodes.editing.record_reference import RecordReference
from energy_guidance.nodes.host import guide
from energy_guidance.tests.host import tiny

pytestmark = pytest.mark.once

STEPS, FIRST, SEED = 4, 3, 7
KINDS = pytest.mark.parametrize("kind", ["eps", "flow"])


def image(batch=2):
    with torch.inference_mode():
        return {"samples": torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(5))}


@torch.inference_mode()
def edited(model, latent=None, source=1, target=3, seed=SEED, scales=(4.0, 2.0), **options):
    latent = image() if latent is None else latent
    widgets = (seed, options.pop("steps", STEPS), options.pop("n_max", FIRST), *scales, "normal")
    options = {"negative": tiny.cond(2), **options}
    conds = tiny.cond(source), tiny.cond(target)
    return FlowEdit.execute(model, *conds, latent, *widgets, **options).args[0]["samples"]


@torch.inference_mode()
def published(model, latent, draws):
    """Algorithm 1 in the coordinates of a flow, with velocities of stock guiders."""
    flow = model.model.model_type.name == "FLOW"
    sides = []
    for positive, cfg in ((1, 2.0), (3, 4.0)):
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(tiny.cond(positive), tiny.cond(2))
        guider.set_cfg(cfg)
        sides.append(guider)

    def velocity(guider, x, t):
        answers, sigma = [], t if flow else t / (1 - t)
        native = x if flow else x / (1 - t)

        def look(network, noise, sigmas, extra_args=None, **ignored):
            level = sigma.expand(len(x))
            answers.append(network.inner_model(native, level, extra_args["model_options"], seed=0))
            return noise

        zeros = torch.zeros_like(x)
        sampler = comfy.samplers.KSAMPLER(look)
        guider.sample(zeros, zeros, sampler, torch.stack([sigma, 0 * sigma]), disable_pbar=True)
        return (x - answers[0]) / t

    sigmas = comfy.samplers.KSampler(
        model, STEPS, model.load_device, "euler", "normal", 1.0, model.model_options
    ).sigmas[-1 - FIRST :]
    times = sigmas if flow else sigmas / (1 + sigmas)
    source = model.model.process_latent_in(latent["samples"])
    z = source.clone()
    for step, (t, following) in enumerate(pairwise(times)):
        total = torch.zeros_like(z)
        for draw in range(draws):
            noisy = (1 - t) * source + t * seeded_noise(source, SEED, step, draw)
            moved = z + noisy - source
            total += velocity(sides[1], moved, t) - velocity(sides[0], noisy, t)
        z = z + (following - t) * total / draws
    return model.model.process_latent_out(z)


@KINDS
@pytest.mark.everywhere
def test_it_is_the_published_algorithm(kind):
    model = tiny.unet(kind)
    found = edited(model, n_avg=2)
    torch.testing.assert_close(found, published(model, image(), 2), rtol=1e-3, atol=1e-3)
    assert (found - image()["samples"]).abs().max() > 0.1


@KINDS
def test_the_sources_own_prompt_gives_its_bytes_back(kind):
    model = tiny.unet(kind)
    same = edited(model, target=1, scales=(4.0, 4.0))
    assert torch.equal(same, image()["samples"])
    assert not torch.equal(edited(model, target=1), image()["samples"])


def test_a_mask_keeps_the_bytes_outside_and_a_seed_is_a_seed():
    model, mask = tiny.unet("flow"), torch.zeros(1, 64, 64)
    mask[..., :32] = 1
    found = edited(model, mask=mask, n_min=1)
    assert torch.equal(found[..., 4:], image()["samples"][..., 4:])
    assert (found - image()["samples"])[..., :3].abs().min() > 0
    assert torch.equal(edited(model, {**image(), "noise_mask": mask[:, None]}, n_min=1), found)
    assert torch.equal(edited(model, mask=mask, n_min=1), found)
    assert not torch.equal(edited(model, mask=mask, n_min=1, seed=8), found)


def test_a_sample_alone_is_that_of_its_batch():
    model = tiny.unet("flow")
    alone = {"samples": image()["samples"][1:], "batch_index": [1]}
    torch.testing.assert_close(edited(model, alone), edited(model)[1:], rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def inverted(model, latent, steps=STEPS):
    widgets = (steps, 1.0, "normal", 1.0, 1, 0.0, False)
    return Invert.execute(model, tiny.cond(1), latent, *widgets).args[1]


@KINDS
def test_along_a_coarse_path_the_source_arrives_and_another_prompt_edits(kind):
    model = tiny.unet(kind)
    path, whole = inverted(model, image()), {"n_max": STEPS, "scales": (1.0, 1.0)}
    assert torch.equal(edited(model, target=1, path=path, **whole), image()["samples"])
    found = edited(model, path=path, **whole)
    assert (found - image()["samples"]).abs().max() > 0.1
    assert torch.equal(edited(model, path=path, seed=8, **whole), found)


def test_guidance_acts_on_the_wanted_prompt_alone():
    model = tiny.unet("flow")
    rule = lambda strength: Manifold(MeanColor(torch.tensor([0.9, 0.1, 0.1])), Constant(strength))
    guided = lambda strength: guide.apply(model, [rule(strength)], decoder="rgb")
    assert torch.equal(edited(guided(0.0)), edited(model))
    # With the source's own prompt too: the source itself is not guided.
    pushed = edited(guided(0.5), target=1, scales=(4.0, 4.0))
    assert not torch.equal(pushed, image()["samples"])


def test_keep_attention_guides_the_edit():
    model = tiny.unet("flow")
    widgets = (1, STEPS, 1.0, "normal", 1.0, "euler", True, False, "default")
    with torch.inference_mode():
        options = {"path": inverted(model, image())}
        reference = RecordReference.execute(model, tiny.cond(1), *widgets, **options).args[0]
    rule = Forward(AttentionKeep(reference), Constant(0.3))
    guided, plain = edited(guide.apply(model, [rule])), edited(model)
    assert torch.isfinite(guided).all()
    assert not torch.equal(guided, plain)


def test_what_cannot_be_edited_is_refused_before_the_model_is_asked():
    model = tiny.unet("flow")
    asked = []
    model = model.clone()
    model.set_model_unet_function_wrapper(lambda apply, options: asked.append(1))
    path = inverted(tiny.unet("flow"), image())
    cases = [
        ({"n_max": 5}, "n_min < n_max <= steps"),
        ({"n_min": 3}, "n_min < n_max <= steps"),
        ({"negative": None}, "needs a negative prompt"),
        ({"negative": None, "scales": (1.0, 2.0)}, "needs a negative prompt"),
        ({"latent": {"samples": torch.zeros(2, 4, 8, 8)}}, "got an empty one"),
        ({"path": path, "latent": image(1)}, "connect the latent that was inverted"),
        ({"path": path, "steps": 5}, "other noise levels"),
        ({"path": path, "latent": {"samples": image()["samples"] + 1}}, "of another image"),
    ]
    for options, message in cases:
        with pytest.raises(ValueError, match=message):
            edited(model, **options)
    assert not asked
    assert "n_max 9 and 4 steps" in FlowEdit.validate_inputs(steps=4, n_max=9, n_min=0)
    assert FlowEdit.validate_inputs(steps=None, n_max=9, n_min=0) is True
