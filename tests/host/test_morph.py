"""Images between two others, in the host: ends, prompts, attention, statistics and refusals."""

from __future__ import annotations

from dataclasses import replace

import comfy.samplers
import pytest
import torch
from energy_guidance.guidance_core.procedures.displacement import displacement
from energy_guidance.guidance_core.procedures.inversion import Path
from energy_guidance.guidance_core.procedures.morphing import slerp
from energy_guidance.nodes.editing.invert import Invert
from energy_guidance.nodes.editing.morph import Morph
from energy_guidance.nodes.host import displaced, invert, mixed_prompts, morph, samplers
from energy_guidance.nodes.host.injecting.putting import Putting, mixed
from energy_guidance.nodes.host.injecting.unet import UNetExchange
from energy_guidance.nodes.host.injecting.wanted import Wanted
from energy_guidance.nodes.host.reading.layouts import layout_of
from energy_guidance.tests.host import families, tiny

pytestmark = pytest.mark.once

STEPS = 3


def image(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 4, 8, 8, generator=generator)


def inverted(model, seed, steps=STEPS, iterations=2):
    widgets = (steps, 1.0, "normal", 0.5, iterations, 0.0, False)
    with torch.inference_mode():
        found = Invert.execute(model, tiny.cond(seed), {"samples": image(seed)}, *widgets).args
    return found[1]


def way(model, attention=0.0, statistics=0.0, seeds=(1, 5), iterations=2):
    paths = tuple(inverted(model, seed, iterations=iterations) for seed in seeds)
    prompts = tuple(tiny.cond(seed) for seed in seeds)
    plan = samplers.Plan.along(paths[0], model, prompts[0], None, 1.0)
    return morph.Morph(plan, paths, prompts, attention, statistics)


def near(a, b):
    return float((a - b).norm() / b.norm())


class Vae:
    """The latent's first three channels as an image."""

    def decode(self, latents):
        return latents[:, :3].movedim(1, -1).sigmoid()

    def encode(self, images):
        latents = images.movedim(-1, 1).clamp(1e-3, 1 - 1e-3).logit()
        return torch.cat([latents, latents[:, :1]], 1)


@pytest.mark.parametrize("kind", ["eps", "flow"])
def test_the_ends_are_what_the_inversions_themselves_reproduce(kind):
    model = tiny.unet(kind)
    with torch.inference_mode():
        one = way(model)
        ends = one.latents(torch.tensor([0.0, 1.0]))
        for end, path, prompt in zip(ends, one.paths, one.prompts, strict=True):
            plan = samplers.Plan.along(path, model, prompt, None, 1.0)
            assert near(end[None], invert.resampled(plan, path)) < 1e-5
    assert near(ends[0], ends[1]) > 0.1


def test_between_an_image_and_itself_every_frame_is_that_image():
    model = tiny.unet()
    with torch.inference_mode():
        one = way(model, attention=1.0, seeds=(5, 5), iterations=20)
        frames = one.latents(torch.tensor([0.0, 0.3, 1.0]))
        plan = samplers.Plan.along(one.paths[0], model, one.prompts[0], None, 1.0)
        truth = invert.resampled(plan, one.paths[0])
    for frame in frames:
        assert near(frame[None], truth) < 1e-3


def test_a_frame_is_the_same_alone_and_among_others():
    model = tiny.unet()
    with torch.inference_mode():
        one = way(model, attention=1.0, statistics=0.5)
        frames = one.latents(torch.tensor([0.0, 0.25, 0.75]))
        assert near(one.latents(torch.tensor([0.25])), frames[1:2]) < 1e-5


def test_estimates_are_mixed_by_the_weights_of_their_row():
    model, x = tiny.unet(), torch.cat([image(7), image(7)])
    weights = torch.tensor([[0.75, 0.25], [0.0, 1.0]])
    prompts = [tiny.cond(1), tiny.cond(5)]
    estimate = lambda positive: one_estimate(model, positive, x)
    each = [estimate(prompt) for prompt in prompts]
    found = estimate(mixed_prompts.mixed_estimates(prompts, weights))
    assert near(found[:1], 0.75 * each[0][:1] + 0.25 * each[1][:1]) < 1e-5
    assert near(found[1:], each[1][1:]) < 1e-5
    assert near(each[0], each[1]) > 1e-3


def one_estimate(model, positive, x):
    """X0 of a stock run at x and noise level 2."""
    seen = []

    def look(network, noise, sigmas, extra_args=None, **options):
        level = sigmas[:1].expand(len(x))
        seen.append(network.inner_model(x.clone(), level, extra_args["model_options"], seed=1))
        return noise

    sampler = comfy.samplers.KSAMPLER(look)
    plan = samplers.Plan(model, positive, positive, 1.0, torch.tensor([2.0, 0.0]))
    with torch.inference_mode():
        plan.run(sampler, torch.zeros_like(x), torch.zeros_like(x))
    return seen[0]


def test_keys_and_values_are_the_mean_of_both_images_by_the_weights_of_a_row():
    network = tiny.unet().model.diffusion_model
    exchange = UNetExchange(layout_of(network).attention, {})
    name = next(iter(exchange.attention))
    wanted = Wanted(shared=(name,))
    weights = torch.tensor([[0.75, 0.25], [0.0, 1.0], [0.5, 0.5]])
    context = torch.cat([tiny.cond(1)[0][0], tiny.cond(5)[0][0]])
    evaluate = lambda x, context: network(
        x, torch.ones(len(x)), context=context, transformer_options={"uuids": ["one"]}
    )
    seen = []
    with torch.no_grad(), exchange.taking(wanted) as taken:
        evaluate(torch.cat([image(1), image(5)]), context)
    mix = {key: mixed(weights, part) for key, part in taken.items()}
    with torch.no_grad(), exchange.putting(network, wanted, Putting(mix, None)):
        layer = exchange.attention[name].attn1.to_v
        handle = layer.register_forward_hook(lambda module, args, out: seen.append(out))
        evaluate(image(7).expand(3, 4, 8, 8), context[:1].expand(3, 7, 32))
        handle.remove()
    one, other = taken["attn1", name, "to_v"]
    assert {layer for _, _, layer in taken} == {"to_k", "to_v"}
    torch.testing.assert_close(
        seen[0], torch.stack([0.75 * one + 0.25 * other, other, (one + other) / 2])
    )


def test_blended_attention_shows():
    model = tiny.unet()
    with torch.inference_mode():
        stock = way(model).latents(torch.tensor([0.5]))
        assert near(way(model, attention=1.0).latents(torch.tensor([0.5])), stock) > 1e-4


def test_frames_come_out_as_images_and_latents_with_a_report():
    model = tiny.unet()
    paths = inverted(model, 1), inverted(model, 5)
    conds = tiny.cond(1), tiny.cond(5)
    with torch.inference_mode():
        images, latents, report = Morph.execute(
            model, *paths, *conds, Vae(), 4, 7, 0.5, 0.5, 1.0, 2
        ).args
    assert images.shape == (4, 8, 8, 3)
    assert torch.equal(images, Vae().decode(latents["samples"]))
    assert report.startswith("largest step ")
    assert report.endswith("1.00")
    assert "at 0.00, " in report


@pytest.mark.parametrize("kind", ["eps", "flow"])
def test_displaced_frames_begin_below_at_the_ends_themselves(kind):
    model = tiny.unet(kind)
    with torch.inference_mode():
        one = way(model)
        start = displaced.displaced(one.plan, one.paths, 0.7, Vae())
        assert torch.equal(start.sigmas, one.plan.sigmas[1:])
        frames = replace(one, start=start).latents(torch.tensor([0.0, 0.5, 1.0]))
        for frame, path, prompt in zip(frames[::2], one.paths, one.prompts, strict=True):
            lower = Path(path.sigmas[1:], path.states[1:])
            plan = samplers.Plan.along(lower, model, prompt, None, 1.0)
            assert near(frame[None], invert.resampled(plan, lower)) < 1e-5
        assert near(frames[1:2], one.latents(torch.tensor([0.5]))) > 1e-3


def test_a_displaced_frame_begins_at_the_image_between_with_the_noise_between():
    model = tiny.unet()
    with torch.inference_mode():
        one = way(model)
        start = displaced.displaced(one.plan, one.paths, 0.7, Vae())
        latent, noise = start.at(torch.tensor([0.5]))
    ends = [Vae().decode(latent)[0].movedim(-1, 0) for latent in start.latents]
    between = displacement(*ends).at(torch.tensor([0.5]))
    assert near(latent, Vae().encode(between.movedim(1, -1))) < 1e-5
    level = one.plan.sigmas[1]
    noises = [(path.states[1] - path.states[-1]) / level for path in one.paths]
    truth = slerp(noises[0][0], noises[1][0], torch.tensor([0.5]))
    assert near(noise, truth) < 1e-4


def test_what_does_not_fit_is_refused_before_sampling():
    model = tiny.unet()
    path, prompt = inverted(model, 1), tiny.cond(1)
    plan = samplers.Plan.along(path, model, prompt, None, 1.0)
    other = Path(path.sigmas, path.states[..., :4])
    with pytest.raises(ValueError, match="both images of a morph must have one size"):
        morph.Morph(plan, (path, other), (prompt, prompt), 0.0, 0.0)
    with pytest.raises(ValueError, match="same noise levels"):
        morph.Morph(plan, (path, inverted(model, 1, 4)), (prompt, prompt), 0.0, 0.0)
    with pytest.raises(ValueError, match="needs a negative prompt"):
        samplers.Plan.along(path, model, prompt, None, 4.0)
    placed = [[prompt[0][0], {"area": (4, 4, 0, 0)}]]
    with pytest.raises(ValueError, match="an area or a mask"):
        mixed_prompts.mixed_estimates([prompt, placed], torch.ones(1, 2))
    with pytest.raises(ValueError, match="one part, got several"):
        mixed_prompts.batch_of([prompt, prompt + prompt])
    with pytest.raises(ValueError, match="32 and 16 channels"):
        mixed_prompts.batch_of([prompt, tiny.cond(1, 16)])
    network = tiny.flux()
    plan = samplers.Plan.along(path, network, prompt, None, 1.0)
    with pytest.raises(ValueError, match="Morph exchanges attention inside of U-Nets"):
        morph.Morph(plan, (path, path), (prompt, prompt), 0.5, 0.0)


@pytest.mark.parametrize("family", ["HiDream-I1", "HunyuanDiT"])
def test_each_row_of_a_batch_is_what_its_own_prompt_gives(family):
    """Of families with a second text encoder, whose states lie beside those of the first."""
    model, noise = families.model(family), families.draw(7, 1, *families.FAMILIES[family].latent)
    prompts = [families.FAMILIES[family].cond(seed) for seed in (1, 5)]
    noise = torch.cat([noise, noise])
    both = one_estimate(model, mixed_prompts.batch_of(prompts), noise)
    for row, prompt in enumerate(prompts):
        alone = one_estimate(model, prompt, noise[:1])
        assert near(both[row : row + 1], alone) < 1e-5
    assert near(both[:1], both[1:]) > 1e-3


def test_shorter_prompts_are_padded_with_zeros():
    short = [[torch.ones(1, 3, 32), {"pooled_output": torch.ones(1, 4)}]]
    long = [[torch.ones(1, 5, 32), {"pooled_output": torch.zeros(1, 4)}]]
    ((states, rest),) = mixed_prompts.batch_of([short, long])
    assert states.shape == (2, 5, 32)
    assert float(states[0].sum()) == 3 * 32
    assert torch.equal(rest["pooled_output"], torch.tensor([[1.0] * 4, [0.0] * 4]))
