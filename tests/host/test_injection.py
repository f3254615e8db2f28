"""Attention and features of a source in the run of an edit: Prompt-to-Prompt, Plug-and-Play."""

from __future__ import annotations

import os

import comfy.model_management
import comfy.sample
import comfy.samplers
import pytest
import torch
from energy_guidance.guidance_core.attention.alignment import Alignment
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant, PercentWindow
from energy_guidance.nodes.editing.plug_and_play import PlugAndPlay
from energy_guidance.nodes.editing.prompt_to_prompt import PromptToPrompt
from energy_guidance.nodes.editing.record_reference import RecordReference
from energy_guidance.nodes.host import guide, networks, samplers, shapes
from energy_guidance.nodes.host.injecting.injected import injected
from energy_guidance.nodes.host.injecting.injection import TAG, Blend, Injection
from energy_guidance.nodes.host.injecting.unet import check_unet, from_features
from energy_guidance.nodes.host.reading.layouts import layout_of
from energy_guidance.tests.host import probe, tiny
from energy_guidance.tests.host.edits import hooks, mixed, near, one_step, same, standing_path

pytestmark = pytest.mark.once

THERE = (networks.ASSETS / "unet" / "config.json").is_file()
needs_shapes = pytest.mark.skipif(
    not THERE and not os.environ.get("CI"), reason="the embedded model is not in assets/shapes"
)
WHOLE, STEPS, TOKEN = PercentWindow(0.0, 1.0), 3, ("P2P", "a", "b")
NEGATIVE = tiny.cond(2)


@pytest.fixture(scope="module")
def eps():
    return tiny.unet()


def tagged(seed=1):
    return [[states, {**rest, TAG: TOKEN}] for states, rest in tiny.cond(seed)]


def names(model):
    return tuple(layout_of(model.model.diffusion_model).attention)


def injection(model, path=None, **parts):
    defaults = {"cross": (names(model), WHOLE), "alignment": mixed(), "tag": TOKEN}
    return Injection("Edit", tiny.cond(5), path, **{**defaults, **parts})


def painted(model, positive=None, cfg=4.0, steps=STEPS, **options):
    positive = tagged() if positive is None else positive
    return tiny.sample(model, steps, cfg=cfg, positive=positive, **options)


def recorded(model, batch=1, cfg=4.0, seed=5, steps=STEPS, **changes):
    """A source's latent and path by Record Reference, with the noise of `painted`."""
    widgets = (1, steps, cfg, "normal", 1.0, changes.pop("sampler", "euler"), True, True, "default")
    with torch.inference_mode():
        latent = {"samples": tiny.latent(batch)["samples"]}
        conds = (tiny.cond(seed), *widgets, tiny.cond(2), latent)
        return RecordReference.execute(model, *conds).args[1:]


@pytest.mark.everywhere
def test_nothing_wanted_is_the_stock_sampler_bit_for_bit(eps):
    nothing = injection(eps, cross=((), None), alignment=None)
    assert torch.equal(painted(injected(eps, nothing)), painted(eps, tiny.cond(1)))
    never = injection(eps, own=(names(eps), None), cross=(names(eps), None))
    assert torch.equal(painted(injected(eps, never)), painted(eps, tiny.cond(1)))


@pytest.mark.parametrize("kind", ["eps", "flow"])
def test_a_source_put_into_itself_changes_nothing(kind):
    model = tiny.unet(kind)
    own = Injection(
        "Edit",
        tiny.cond(1),
        None,
        tag=TOKEN,
        own=(names(model), WHOLE),
        cross=(names(model), WHOLE),
        alignment=same(),
        features=(("output.1",), WHOLE),
    )
    stock = painted(model, tiny.cond(1), batch=2)
    assert near(painted(injected(model, own), batch=2), stock) < 1e-4
    other = Injection("Edit", tiny.cond(5), None, tag=TOKEN, own=own.own)
    assert near(painted(injected(model, other), batch=2), stock) > 1e-3


def published(model, part, change):
    """A MODEL for two prompts in one batch, the source first, edited by the host's own patches.

    `change(q, k, v)`, of (2, heads, N, D) each, returns what the second row's attention gives.
    """
    clone = model.clone()

    def replace(q, k, v, options):
        count, heads = q.shape[1], options["n_heads"]
        split = lambda t: t.reshape(2, t.shape[1], heads, -1).transpose(1, 2)
        q, k, v = map(split, (q, k, v))
        plain = ((q @ k.transpose(2, 3)) * q.shape[-1] ** -0.5).softmax(-1) @ v
        both = torch.stack([plain[0], change(q, k, v)])
        return both.transpose(1, 2).reshape(2, count, -1)

    setter = {"attn1": clone.set_model_attn1_replace, "attn2": clone.set_model_attn2_replace}[part]
    for block, number in (
        ("input", 1),
        ("input", 3),
        ("middle", 0),
        *(("output", n) for n in range(4)),
    ):
        setter(replace, block, number)
    return clone


def two_prompts():
    """Both prompts as the rows of one batch."""
    with torch.inference_mode():
        return [[torch.cat([tiny.cond(5)[0][0], tiny.cond(1)[0][0]]), {}]]


@pytest.mark.everywhere
@pytest.mark.parametrize("part", ["attn1", "attn2"])
def test_attention_is_that_of_two_prompts_in_one_batch_as_published(eps, part):
    sigma, x = 3.0, 3.0 * torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(4))
    plan = mixed()

    def change(q, k, v):
        weights = ((q @ k.transpose(2, 3)) * q.shape[-1] ** -0.5).softmax(-1)
        if part == "attn1":
            return weights[0] @ v[1]
        edited = weights[0] @ plan.source
        edited = (edited * plan.share + weights[1] * (1 - plan.share)) * plan.factor
        return edited @ v[1]

    both = one_step(published(eps, part, change), two_prompts(), NEGATIVE, torch.cat([x, x]), sigma)
    parts = {"own": (names(eps), WHOLE), "cross": ((), None)} if part == "attn1" else {}
    edit = injected(eps, injection(eps, standing_path(x, sigma), **parts))
    mine = one_step(edit, tagged(), NEGATIVE, x, sigma)
    assert near(mine, one_step(eps, tiny.cond(1), NEGATIVE, x, sigma)) > 1e-3
    torch.testing.assert_close(mine, both[1:], rtol=1e-4, atol=1e-4)


def test_only_the_rows_of_the_edited_prompt_are_changed(eps):
    # At CFG 4 the negative row is the stock's: a linear combination tells them apart.
    sigma, x = 3.0, 3.0 * torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(4))
    edit = injected(eps, injection(eps, standing_path(x, sigma)))
    answers = {}
    keep = lambda args: answers.update(uncond=args["uncond_denoised"].clone()) or args["denoised"]
    for name, model in (("edit", edit), ("stock", eps)):
        clone = model.clone()
        clone.set_model_sampler_post_cfg_function(keep, disable_cfg1_optimization=True)
        one_step(clone, tagged(), NEGATIVE, x, sigma)
        answers[name] = answers.pop("uncond")
    torch.testing.assert_close(answers["edit"], answers["stock"], rtol=1e-5, atol=1e-5)


def test_what_is_plugged_in_leads_to_the_source_and_off_is_the_stock(eps):
    latent, path = recorded(eps, cfg=1.0)
    plugged = lambda *ends: PlugAndPlay.execute(eps, tiny.cond(5), path, *ends, "default").args[0]
    whole = plugged(1.0, 1.0)
    # Given to its own prompt, without CFG, nothing changes.
    assert near(painted(whole, tiny.cond(5), cfg=1.0), latent["samples"]) < 1e-4
    stock = painted(eps, tiny.cond(1), cfg=1.0)
    features, attention = plugged(1.0, 0.0), plugged(0.0, 1.0)
    for edit in (whole, features, attention):
        assert near(painted(edit, tiny.cond(1), cfg=1.0), stock) > 1e-5
    assert torch.equal(painted(plugged(0.0, 0.0), tiny.cond(1), cfg=1.0), stock)


def test_features_are_those_of_two_prompts_in_one_batch_as_published(eps):
    sigma, x = 3.0, 3.0 * torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(4))
    path = standing_path(x, sigma)
    plugged = PlugAndPlay.execute(eps, tiny.cond(5), path, 1.0, 0.0, "default").args[0]
    mine = one_step(plugged, tiny.cond(1), NEGATIVE, x, sigma)
    last = eps.model.diffusion_model.output_blocks[1][0].out_layers[-1]
    handle = last.register_forward_hook(lambda conv, args, out: torch.cat([out[:1], out[:1]]))
    try:
        both = one_step(eps, two_prompts(), NEGATIVE, torch.cat([x, x]), sigma)
    finally:
        handle.remove()
    assert near(mine, one_step(eps, tiny.cond(1), NEGATIVE, x, sigma)) > 1e-4
    assert near(mine, both[1:]) < 1e-5


def test_the_layers_of_plug_and_play_begin_with_the_second_block_that_attends(eps):
    first, attending = from_features(eps.model.diffusion_model)
    assert first == "output.1"
    assert attending == ("output.1.0", "output.2.0", "output.3.0")
    first, attending = from_features(tiny.sdxl().model.diffusion_model)
    assert first == "output.1"
    assert all(name.startswith("output.1") for name in attending)


def test_a_source_is_the_same_sampled_first_or_recorded(eps):
    _, path = recorded(eps)
    alone = painted(injected(eps, injection(eps)))
    along = painted(injected(eps, injection(eps, path)))
    assert near(alone, along) < 1e-4
    assert near(alone, painted(eps, tiny.cond(1))) > 1e-3


def test_a_sample_alone_is_edited_as_in_its_batch(eps):
    noise = comfy.sample.prepare_noise(tiny.latent(2)["samples"], 3)
    edit = injected(eps, injection(eps, own=(names(eps), WHOLE)))
    both = painted(edit, batch=2, noise=noise)
    assert near(painted(edit, noise=noise[1:]), both[1:]) < 1e-4


def blend(model, threshold=0.97, start=0.0):
    return Blend((2,), (2, 3), names(model)[-1:], threshold, PercentWindow(start, 1.0))


@pytest.mark.parametrize("kind", ["eps", "flow"])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "heun", "euler_ancestral"])
def test_outside_of_the_words_the_image_is_the_sources_with_every_sampler(kind, sampler):
    model = tiny.unet(kind)
    edit = injected(model, injection(model, blend=blend(model)))
    mine = painted(edit, sampler=sampler, steps=4)
    source = painted(model, tiny.cond(5), sampler=sampler, steps=4)
    kept = ((mine - source).abs() < 1e-3).all(1)
    assert 0.3 < kept.float().mean() < 1.0


def test_a_blend_that_begins_late_leads_back_to_the_source(eps):
    edit = injected(eps, injection(eps, blend=blend(eps, start=0.5)))
    mine, source = painted(edit, steps=6), painted(eps, tiny.cond(5), steps=6)
    assert ((mine - source).abs() < 1e-3).all(1).float().mean() > 0.3


@pytest.mark.parametrize("guided_first", [True, False])
def test_guidance_acts_on_the_edit_and_not_on_its_source(eps, guided_first):
    rules = [Forward(probe.Nearness(), Constant(0.5))]
    plain = injected(eps, injection(eps))
    if guided_first:
        both = injected(guide.apply(eps, rules), injection(eps))
    else:
        both = guide.apply(plain, rules)
    edited = painted(both)
    assert near(edited, painted(plain)) > 1e-3
    # The same whatever the order: nothing of the source was guided.
    other = (
        guide.apply(plain, rules)
        if guided_first
        else injected(guide.apply(eps, rules), injection(eps))
    )
    assert near(edited, painted(other)) < 1e-4
    along = injected(guide.apply(eps, rules), injection(eps, recorded(eps)[1]))
    assert near(edited, painted(along)) < 1e-4


def test_the_slope_through_an_edit_is_that_of_differences(eps):
    _, path = recorded(eps, cfg=1.0, steps=1)
    records = []
    edit = injected(eps, injection(eps, path, own=(names(eps), WHOLE)))
    with torch.inference_mode():
        guided = guide.apply(edit, [probe.Slopes()], trace=records.append)
        painted(guided, steps=1, cfg=1.0)
    probe.agree(records[0])


@pytest.mark.everywhere
def test_the_model_is_as_it_was_after_success_error_and_interrupt(eps):
    stock, before = painted(eps, tiny.cond(1)), hooks(eps)
    edit = injected(eps, injection(eps, own=(names(eps), WHOLE)))
    painted(edit)
    assert hooks(eps) == before
    assert torch.equal(painted(eps, tiny.cond(1)), stock)

    def stop(step, x0, x, total):
        raise comfy.model_management.InterruptProcessingException

    for fault in (comfy.model_management.InterruptProcessingException,):
        with pytest.raises(fault):
            painted(edit, callback=stop)
    broken = injection(eps, alignment=Alignment(torch.eye(4), torch.ones(5), torch.ones(4)))
    with pytest.raises(RuntimeError):
        painted(injected(eps, broken))
    assert hooks(eps) == before
    assert torch.equal(painted(eps, tiny.cond(1)), stock)
    assert torch.equal(painted(edit), painted(edit))


@pytest.mark.everywhere
def test_another_packs_attention_stays_beside_the_edit(eps):
    # As IPAdapter does: attn2 is replaced, and its images' attention added.
    def adding(amount):
        clone = eps.clone()

        def replace(q, k, v, options):
            from comfy.ldm.modules.attention import optimized_attention

            return optimized_attention(q, k, v, options["n_heads"]) + amount

        for number in range(4):
            clone.set_model_attn2_replace(replace, "output", number)
        return clone

    assert (
        near(painted(injected(adding(0.0), injection(eps))), painted(injected(eps, injection(eps))))
        < 1e-4
    )
    added = painted(injected(adding(0.5), injection(eps)))
    assert near(added, painted(injected(eps, injection(eps)))) > 1e-3
    assert near(added, painted(adding(0.5), tiny.cond(1))) > 1e-3


def test_runs_that_do_not_fit_are_refused_before_the_model_runs(eps):
    _, path = recorded(eps)
    calls = []
    counted = eps.clone()
    counted.set_model_unet_function_wrapper(
        lambda apply, args: calls.append(1) or apply(args["input"], args["timestep"], **args["c"])
    )
    edit = lambda **parts: injected(counted, injection(eps, **parts))
    with pytest.raises(ValueError, match="connect the positive output of Edit"):
        painted(edit(), tiny.cond(1))
    with pytest.raises(ValueError, match=r"latents of 1 x 4 x 8 x 8, this run's are 1 x 4 x 16"):
        painted(edit(path=path), size=16)
    with pytest.raises(ValueError, match="steps, scheduler and denoise of Invert"):
        painted(edit(path=path), steps=STEPS + 2)
    with pytest.raises(ValueError, match="does not start from the inverted image"):
        painted(edit(path=path), noise_seed=99)
    assert not calls


def test_a_batch_of_edits_may_have_one_source(eps):
    _, path = recorded(eps)
    noise = comfy.sample.prepare_noise(tiny.latent()["samples"], 1).expand(2, -1, -1, -1)
    both = painted(injected(eps, injection(eps, path)), batch=2, noise=noise.clone())
    one = painted(injected(eps, injection(eps, path)))
    assert near(both[:1], one) < 1e-4
    assert near(both[1:], one) < 1e-4


def test_other_kinds_of_models_are_refused_by_name():
    with pytest.raises(ValueError, match=r"such as .* and SDXL, got Flux"):
        check_unet(tiny.flux().model.diffusion_model, "Prompt-to-Prompt")
    with pytest.raises(ValueError, match=r"got OpenAI.*MMDIT"):
        check_unet(tiny.sd3().model.diffusion_model, "Prompt-to-Prompt")


def test_plug_and_play_needs_a_path_and_known_layers(eps):
    with pytest.raises(ValueError, match="connect that of Invert"):
        PlugAndPlay.execute(eps, tiny.cond(5), None, 0.8, 0.5, "default")
    _, path = recorded(eps)
    with pytest.raises(ValueError, match="no layer nowhere"):
        PlugAndPlay.execute(eps, tiny.cond(5), path, 0.8, 0.5, "nowhere")
    with pytest.raises(ValueError, match="residual branch"):
        PlugAndPlay.execute(eps, tiny.cond(5), path, 0.8, 0.5, "input.0")


def test_a_source_sampled_by_other_samplers_has_no_path(eps):
    _, blocked = recorded(eps, sampler="dpmpp_2m")
    assert "choose euler" in blocked.message
    latent, path = recorded(eps, batch=2)
    assert path.states.shape == (STEPS + 1, 2, 4, 8, 8)
    assert near(eps.model.process_latent_out(path.states[-1]), latent["samples"]) < 1e-5


DEFAULTS = ("replace", 0.8, 0.4, 1024, "", "", 0.3, 0.2)


def prompted(source, prompt, *widgets, parts):
    with torch.inference_mode():
        model, clip, _ = parts
        widgets = (*widgets, *DEFAULTS[len(widgets) :])
        return PromptToPrompt.execute(model, clip, source, prompt, *widgets).args


@pytest.fixture(scope="module")
def parts():
    with torch.inference_mode():
        return shapes.load()


@needs_shapes
def test_prompts_that_do_not_fit_the_edit_are_refused(parts):
    edit = lambda *texts: prompted(*texts, parts=parts)
    with pytest.raises(ValueError, match=r"as many words, got 3 .* and 4"):
        edit("a red circle", "a big red circle")
    with pytest.raises(ValueError, match="both prompts are the same"):
        edit("a red circle", "a red circle")
    with pytest.raises(ValueError, match="one word or more"):
        edit("", "a red circle")
    with pytest.raises(ValueError, match=r"such as red: 2, got 'red'"):
        edit("a red circle", "a red square", "replace", 0.8, 0.4, 1024, "red")
    with pytest.raises(ValueError, match="got 'green', which is not in it"):
        edit("a red circle", "a red square", "replace", 0.8, 0.4, 1024, "green: 2")
    with pytest.raises(ValueError, match="'green', which is in neither"):
        edit("a red circle", "a red square", *DEFAULTS[:5], "green")


@needs_shapes
def test_a_word_is_swapped_where_it_stood(parts):
    model, clip, _ = parts
    with torch.inference_mode():
        encode = lambda text: clip.encode_from_tokens_scheduled(clip.tokenize(text))
        latent = {"samples": torch.zeros(1, 4, 16, 16)}

        def paint(model, positive):
            plan = samplers.plan_of(model, positive, encode(""), 6, 4.0, "euler", "normal")
            return samplers.sample(plan, "euler", 5, latent)["samples"]

        source, plain = (paint(model, encode(f"a big {word} circle")) for word in ("red", "blue"))
        edit = prompted(
            "a big red circle", "a big blue circle", *DEFAULTS[:5], "red, blue", parts=parts
        )
        swapped = paint(*edit)
    away = ((swapped - source).abs() < 1e-3).all(1)
    assert 0.4 < away.float().mean() < 0.98
    assert near(swapped, plain) > 0.02
    assert near(swapped, source) > 0.1
