"""Null-text optimisation in the real host: guidance that follows an inverted path."""

from __future__ import annotations

import pytest
import torch
from energy_guidance.nodes.editing.invert import Invert
from energy_guidance.nodes.editing.null_text import NullText
from energy_guidance.nodes.host import invert, null_text, samplers
from energy_guidance.tests.host import families, tiny
from energy_guidance.tests.host.edits import hooks, near

pytestmark = pytest.mark.once

# Random weights know no prompts: a high scale leads anywhere.
STEPS, CFG = 3, 1.5


def image(batch=1, shape=(4, 8, 8)):
    with torch.inference_mode():
        return {"samples": families.draw(7, batch, *shape)}


def inverted(model, positive, latent):
    with torch.inference_mode():
        widgets = (STEPS, 1.0, "normal", 1.0, 3, 0.0, False)
        return Invert.execute(model, positive, latent, *widgets).args[1]


def found(model, positive, negative, path, iterations=10, cfg=CFG):
    with torch.inference_mode():
        return NullText.execute(model, positive, negative, path, cfg, iterations, True).args


def again(model, positive, negative, path, cfg=CFG):
    with torch.inference_mode():
        return invert.resampled(samplers.Plan.along(path, model, positive, negative, cfg), path)


@pytest.mark.parametrize("kind", ["eps", "flow"])
def test_guidance_reproduces_the_image_that_it_would_lose(kind):
    model, latent = tiny.unet(kind), image()
    prompts = tiny.cond(1), tiny.cond(2)
    path = inverted(model, prompts[0], latent)
    null, report = found(model, *prompts, path)
    assert len(null) == STEPS
    assert "round trip" in report
    lost = near(again(model, *prompts, path), latent["samples"])
    kept = near(again(model, prompts[0], null, path), latent["samples"])
    assert kept < 0.95 * lost
    assert hooks(model) == 0


@pytest.mark.everywhere
def test_each_step_of_a_stock_sampler_takes_its_own_part():
    model, seen = tiny.unet(), []
    prompts, path = (tiny.cond(1), tiny.cond(2)), inverted(tiny.unet(), tiny.cond(1), image())
    null, _ = found(model, *prompts, path)
    watched = model.clone()

    def look(apply, args):
        seen.append(args["c"]["c_crossattn"].clone())
        return apply(args["input"], args["timestep"], **args["c"])

    watched.set_model_unet_function_wrapper(look)
    again(watched, prompts[0], null, path)
    assert len(seen) == STEPS
    for states, (part, rest) in zip(seen, null, strict=True):
        assert any(torch.allclose(row, part[0]) for row in states)
        assert rest["timestep_start"] > rest["timestep_end"]


def test_the_run_is_as_near_the_path_as_the_optimisation_says():
    model, latent = tiny.unet(), image()
    prompts = tiny.cond(1), tiny.cond(2)
    path = inverted(model, prompts[0], latent)
    with torch.inference_mode():
        null, apart = null_text.optimised(model, *prompts, path, CFG, 10)
    assert apart.shape == (STEPS, 1)
    mine = again(model, prompts[0], null, path)
    error = (model.model.process_latent_in(mine) - path.states[-1]).square().mean()
    assert float(error) == pytest.approx(float(apart[-1]), rel=0.05, abs=1e-6)


def test_images_of_a_batch_have_states_of_their_own():
    model, prompts = tiny.unet(), (tiny.cond(1), tiny.cond(2))
    both = image(2)
    path = inverted(model, prompts[0], both)
    null, _ = found(model, *prompts, path, 5)
    assert null[0][0].shape == (2, 7, 32)
    one = {"samples": both["samples"][1:]}
    alone, _ = found(model, *prompts, inverted(model, prompts[0], one), 5)
    assert (
        near(
            again(model, prompts[0], null, path)[1:],
            again(model, prompts[0], alone, inverted(model, prompts[0], one)),
        )
        < 1e-3
    )


@pytest.mark.parametrize("family", ["SD3.5", "Qwen-Image"])
def test_transformers_are_reproduced_too(family):
    known, model = families.FAMILIES[family], families.model(family)
    latent = image(1, known.latent)
    prompts = known.cond(1), known.cond(2)
    path = inverted(model, prompts[0], latent)
    null, _ = found(model, *prompts, path, 10)
    lost = near(again(model, *prompts, path), latent["samples"])
    assert near(again(model, prompts[0], null, path), latent["samples"]) < lost


def test_what_cannot_be_found_is_refused():
    model, prompts = tiny.unet(), (tiny.cond(1), tiny.cond(2))
    path = inverted(model, prompts[0], image())
    with pytest.raises(ValueError, match="connect that of Invert"):
        found(model, *prompts, None)
    with pytest.raises(ValueError, match="cfg 1 evaluates no negative prompt"):
        found(model, *prompts, path, cfg=1.0)
    with pytest.raises(ValueError, match="negative prompt of one part"):
        found(model, prompts[0], [*prompts[1], *prompts[1]], path)


@pytest.mark.skipif("FLUX.2" not in families.FAMILIES, reason="this ComfyUI has no FLUX.2")
def test_a_model_that_makes_something_of_its_text_is_refused():
    known, flux2 = families.FAMILIES["FLUX.2"], families.model("FLUX.2")
    path = inverted(flux2, known.cond(1), image(1, known.latent))
    with pytest.raises(ValueError, match="makes something of the prompt's states"):
        found(flux2, known.cond(1), known.cond(2), path)
    assert hooks(flux2) == 0
