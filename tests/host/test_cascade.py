"""Super-resolution by stages in the host: tiles, stages held to the ones before, refusals."""

from __future__ import annotations

import os
import re

import comfy.samplers
import pytest
import torch
from energy_guidance.guidance_core.image.tiles import weights
from energy_guidance.guidance_core.shapes import scenes
from energy_guidance.nodes.host import cascade, networks, samplers, shapes, tiles
from energy_guidance.nodes.sampling.cascade import Cascade
from energy_guidance.tests.host import tiny

pytestmark = pytest.mark.once

THERE = (networks.ASSETS / "unet" / "config.json").is_file()
needs_shapes = pytest.mark.skipif(
    not THERE and not os.environ.get("CI"), reason="the embedded model is not in assets/shapes"
)


def near(a, b):
    return float((a - b).norm() / b.norm())


def one_estimate(model, x, positive=None):
    """X0 of a run at x and noise level 2."""
    seen = []

    def look(network, noise, sigmas, extra_args=None, **options):
        level = sigmas[:1].expand(len(x))
        seen.append(network.inner_model(x.clone(), level, extra_args["model_options"], seed=1))
        return noise

    positive = tiny.cond(1) if positive is None else positive
    plan = samplers.Plan(model, positive, tiny.cond(2), 4.0, torch.tensor([2.0, 0.0]))
    with torch.inference_mode():
        plan.run(comfy.samplers.KSAMPLER(look), torch.zeros_like(x), torch.zeros_like(x))
    return seen[0]


def latent(height=8, width=12, batch=2):
    return torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(3))


def test_an_image_of_one_tile_is_the_stock_sampler_bit_for_bit():
    model = tiny.unet()
    assert torch.equal(tiny.sample(tiles.in_tiles(model, 8, 2)), tiny.sample(model))
    assert "model_function_wrapper" not in model.model_options


def test_a_larger_image_is_the_weighted_mean_of_what_the_model_says_of_its_tiles():
    model, x = tiny.unet(), latent()
    found = one_estimate(tiles.in_tiles(model, 8, 4), x)
    left, right = (one_estimate(model, x[..., place : place + 8]) for place in (0, 4))
    assert near(found[..., :4], left[..., :4]) < 1e-5
    assert near(found[..., 8:], right[..., 4:]) < 1e-5
    weight = weights(8, 8)
    both = left[..., 4:] * weight[:, 4:] + right[..., :4] * weight[:, :4]
    assert near(found[..., 4:8], both / (weight[:, 4:] + weight[:, :4])) < 1e-5
    assert near(one_estimate(model, x), found) > 1e-3


def test_wrappers_of_other_packs_are_called_for_each_tile():
    model, sizes = tiny.unet().clone(), []

    def other(apply_model, given):
        sizes.append(tuple(given["input"].shape[-2:]))
        return apply_model(given["input"], given["timestep"], **given["c"])

    model.set_model_unet_function_wrapper(other)
    one_estimate(tiles.in_tiles(model, 8, 4), latent())
    assert set(sizes) == {(8, 8)}
    assert len(sizes) >= 2


def test_the_projection_has_the_means_of_the_smaller_image_and_is_itself_where_it_had_them():
    generator = torch.Generator().manual_seed(1)
    image = 0.3 + 0.4 * torch.rand(2, 3, 8, 12, generator=generator)
    smaller = 0.3 + 0.4 * torch.rand(2, 3, 4, 6, generator=generator)
    found = cascade.projected(image, smaller)
    torch.testing.assert_close(found.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)), smaller)
    torch.testing.assert_close(cascade.projected(found, smaller), found)


@pytest.mark.parametrize(
    ("size", "tile", "message"),
    [
        (
            (32, 48),
            128,
            "the first stage would be 96x64, below the model's size of 128: begin with "
            "an image of at least 64x64",
        ),
        ((66, 64), 128, "multiples of 8 pixels, got a first stage of 128x132"),
        ((64, 64), 100, "multiples of 8 pixels, got a first stage of 128x128 and tiles of 100"),
    ],
)
def test_an_image_below_the_models_size_is_refused(size, tile, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        cascade.check(torch.zeros(1, 3, *size), tile, 8)


@needs_shapes
def test_a_scene_is_enlarged_in_tiles_and_still_the_scene_when_it_is_shrunk():
    scene = scenes.random_scene(torch.Generator().manual_seed(8_800_001))
    image = scenes.render([scene]).movedim(1, -1)
    with torch.inference_mode():
        model, clip, vae = shapes.load()
        encode = lambda text: clip.encode_from_tokens_scheduled(clip.tokenize(text))
        widgets = (1, 128, 0.25, 3, 3, 1.0, "euler", "normal", 0.3, 1.0)
        free = (*widgets[:-1], 0.0)
        inputs = (model, encode(""), encode(""), vae, image)
        held, report = Cascade.execute(*inputs, *widgets, True).args
        loose = Cascade.execute(*inputs, *widgets, False).args[1]
        unheld = Cascade.execute(*inputs, *free, False).args[1]
    assert held.shape == (1, 256, 256, 3)
    decibels = [float(re.search(r"([\d.]+) dB", text)[1]) for text in (report, loose, unheld)]
    assert decibels[0] > 60
    assert decibels[1] > decibels[2] + 3
