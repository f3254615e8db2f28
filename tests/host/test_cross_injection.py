"""Prompt-to-Prompt and Plug-and-Play where text and image are attended to in layers apart."""

from __future__ import annotations

import comfy.sample
import pytest
import torch
from energy_guidance.guidance_core.attention.words import Word
from energy_guidance.guidance_core.energies.presence import Presence
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.nodes.host import guide, plug_and_play
from energy_guidance.nodes.host.autograd.kernels import changed_attention
from energy_guidance.nodes.host.injecting.attended import looks_of
from energy_guidance.nodes.host.injecting.injected import injected
from energy_guidance.nodes.host.injecting.injection import Injection
from energy_guidance.nodes.host.reading.call import Call
from energy_guidance.nodes.host.reading.laid import Laid
from energy_guidance.nodes.host.reading.layouts import layout_of
from energy_guidance.nodes.host.reading.prompts import length_of
from energy_guidance.nodes.host.reading.tokens import Tokens
from energy_guidance.tests.host import families, probe
from energy_guidance.tests.host.edits import hooks, mixed, near, same, standing_path
from energy_guidance.tests.host.test_joint_injection import (
    SIGMA,
    TOKEN,
    WHOLE,
    Kernel,
    agree,
    blend,
    cond,
    estimate,
    image,
    names,
    only_its_rows_are_changed,
    painted,
    plain,
    softmax_of,
)
from energy_guidance.tests.host.test_reading import CROSS, parts_of

TEXT = slice(0, 7)
# Tokens of a wide image, and all keys of its text: HunyuanDiT has two texts, Anima's is padded.
SIZES = {
    "Wan 2.1": (18, 7),
    "Wan 2.1 image to video": (8, 7),
    "Wan 2.2 5B": (12, 7),
    "LTX-Video": (48, 7),
    "LTX-2": (48, 7),
    "Cosmos 1": (48, 7),
    "Cosmos Predict2": (24, 7),
    "Anima": (24, 512),
    "PixArt Alpha": (374, 7),
    "HunyuanDiT": (24, 16),
    "Kandinsky 5": (48, 7),
}
HERE = [name for name in SIZES if name in families.FAMILIES]


class Both(Kernel):
    """Counts calls in which the image attends to itself, or to its text."""

    def __init__(self, family, formula, *, itself):
        super().__init__(SIZES[family][0], formula)
        self.keys = SIZES[family][0 if itself else 1]

    def sees(self, queries, keys):
        return (queries, keys) == (self.total, self.keys)


def wide(family):
    known = families.FAMILIES[family]
    return families.draw(4, 1, *(known.wide or known.latent))


def by_hand(family, x, **formulas):
    """The target's estimate by formulas `formula(source's (q, k, v), q, k, v)`, by kind of call."""
    model, kinds = families.model(family), {"itself": True, "words": False}
    sources = {kind: Both(family, plain, itself=kinds[kind]) for kind in formulas}
    run = lambda kernels, seed: nested(
        list(kernels), lambda: estimate(model, family, cond(family, seed), x)
    )
    run(sources.values(), 5)
    assert all(source.calls for source in sources.values())
    targets = [
        Both(
            family,
            lambda number, *parts, kind=kind, formula=formula: formula(
                sources[kind].calls[number], *parts
            ),
            itself=kinds[kind],
        )
        for kind, formula in formulas.items()
    ]
    return run(targets, 1)


def nested(kernels, evaluate):
    """What is evaluated with every kernel in place."""
    if not kernels:
        return evaluate()
    with changed_attention(kernels[0]):
        return nested(kernels[1:], evaluate)


def looks(source, q, k, v):
    """Plug-and-Play: queries and keys are the source's."""
    return softmax_of(*source[:2]) @ v


def words(source, q, k, v):
    """Prompt-to-Prompt's cross-attention, as published."""
    plan, there, rows = mixed(), softmax_of(*source[:2])[..., TEXT], softmax_of(q, k)
    share = plan.share.double()
    swapped = there @ plan.source.double() * share + rows[..., TEXT] * (1 - share)
    rows[..., TEXT] = swapped * plan.factor.double()
    return rows @ v


FORMULAS = {"words": words, "itself": looks}


@pytest.mark.parametrize("kinds", [("words",), ("itself",), ("words", "itself")], ids="+".join)
@pytest.mark.parametrize("family", HERE)
def test_attention_is_the_formula_written_out(family, kinds):
    model, x = families.model(family), wide(family)
    layers, formulas = names(model), {kind: FORMULAS[kind] for kind in kinds}
    edit = Injection(
        *("Edit", cond(family, 5), standing_path(x, SIGMA)),
        tag=TOKEN,
        own=(layers, WHOLE) if "itself" in formulas else ((), None),
        cross=(layers, WHOLE) if "words" in formulas else ((), None),
        alignment=mixed(),
    )
    mine = estimate(injected(model, edit), family, cond(family, 1, TOKEN), x)
    agree(mine, by_hand(family, x, **formulas), family, x)


@pytest.mark.parametrize("family", CROSS)
def test_a_source_put_into_itself_changes_nothing_in_any_family(family):
    if families.FAMILIES[family].sound:
        pytest.skip("a path holds no sound")
    model, x = families.model(family), image(family)
    layout, path = layout_of(model.model.diffusion_model), standing_path(x, SIGMA)
    layers = tuple(layout.attention)
    assert tuple(layout.itself) == layers
    own = (layers, WHOLE)
    parts = {"tag": TOKEN, "own": own, "cross": own, "alignment": same()}
    features = {"features": (layout.default_features, WHOLE)}
    stock = estimate(model, family, cond(family, 1), x)
    run = lambda seed, **parts: estimate(
        injected(model, Injection("Edit", cond(family, seed), path, **parts)),
        *(family, cond(family, 1, TOKEN), x),
    )
    assert near(run(1, **parts, **features), stock) < 1e-4
    for part in ("own", "cross"):
        one = {**parts, "own": ((), None), "cross": ((), None), part: own}
        assert near(run(5, **one), stock) > 1e-5
    assert hooks(model) == 0


def edit_of(family, path=None, **parts):
    """Prompt-to-Prompt's edit of a family, of everything and always."""
    own = names(families.model(family)), WHOLE
    usual = {"tag": TOKEN, "own": own, "cross": own, "alignment": mixed()}
    return Injection("Edit", cond(family, 5), path, **{**usual, **parts})


@pytest.mark.parametrize("family", ["Wan 2.1", "LTX-Video"])
def test_nothing_wanted_is_the_stock_sampler_bit_for_bit(family):
    model, never = families.model(family), ((), None)
    stock = painted(model, family, cond(family, 1))
    off = edit_of(family, own=never, cross=never, alignment=None)
    assert torch.equal(painted(injected(model, off), family), stock)


@pytest.mark.parametrize("family", ["Wan 2.1", "PixArt Sigma"])
def test_only_the_rows_of_the_edited_prompt_are_changed(family):
    model, x = families.model(family), image(family)
    edit = injected(model, edit_of(family, standing_path(x, SIGMA)))
    assert only_its_rows_are_changed(model, family, edit, x)


@pytest.mark.parametrize("family", ["Wan 2.1", "LTX-Video"])
def test_the_slope_through_an_edit_is_that_of_differences(family):
    model, records = families.model(family), []
    with torch.inference_mode():
        edit = injected(model, edit_of(family))
        guided = guide.apply(edit, [probe.Slopes(step=0.1)], trace=records.append)
        painted(guided, family, steps=3, cfg=1.0)
    probe.agree(records[1])


@pytest.mark.parametrize("guided_first", [True, False])
def test_an_energy_reads_attention_beside_the_edit(guided_first):
    family = "LTX-Video"
    model = families.model(family)
    rules = [Forward(Presence((Word("word", (2,), False),)), Constant(0.5))]
    edit = edit_of(family)
    plain_edit = painted(injected(model, edit), family)
    orders = [
        injected(guide.apply(model, rules), edit),
        guide.apply(injected(model, edit), rules),
    ]
    both = [painted(one, family) for one in (orders if guided_first else orders[::-1])]
    assert near(both[0], plain_edit) > 1e-4
    assert near(*both) < 1e-4


def test_outside_of_the_words_a_video_is_the_sources():
    family = "Wan 2.1"
    model, options = families.model(family), {"latent": torch.zeros(2, 16, 3, 16, 16)}
    mine = painted(injected(model, edit_of(family, blend=blend(model))), family, **options)
    source = painted(model, family, cond(family, 5), **options)
    kept = ((mine - source).abs() < 1e-3).all(1).float().mean()
    assert 0.1 < kept < 1.0


@pytest.mark.skipif("LTX-2 with sound" not in families.FAMILIES, reason="an older ComfyUI")
def test_a_video_is_edited_with_its_sound_beside_it():
    family = "LTX-2 with sound"
    model = families.model(family)
    edit, blended = edit_of(family), edit_of(family, blend=blend(model))
    video, _ = painted(injected(model, edit), family).unbind()
    stock = painted(model, family, cond(family, 1)).unbind()
    source = painted(model, family, cond(family, 5)).unbind()
    assert near(video, stock[0]) > 1e-3
    mine, beside = painted(injected(model, blended), family).unbind()
    outside = (mine - source[0]).abs().amax(1) < 1e-3
    assert 0.1 < outside.float().mean() < 1.0
    assert torch.isfinite(beside).all()


BATCHED = [name for name in ("Wan 2.1", "LTX-2 with sound") if name in families.FAMILIES]


@pytest.mark.parametrize("family", BATCHED)
def test_a_sample_alone_is_edited_as_in_its_batch(family):
    model = families.model(family)
    edit = injected(model, edit_of(family))
    noise = comfy.sample.prepare_noise(families.FAMILIES[family].options(2)["latent"], 3)
    run = lambda model, noise, **options: parts_of(
        painted(model, family, noise=noise, cfg=4.0, **options)
    )[0]
    both = run(edit, noise, batch=2)
    assert near(run(edit, noise[1:]), both[1:]) < 1e-4
    assert near(both, run(model, noise, batch=2)) > 1e-4


@pytest.mark.parametrize("family", ["Wan 2.1", "LTX-Video", "PixArt Sigma"])
def test_plug_and_play_takes_the_middle_and_the_self_attention_behind_it(family):
    model, x = families.model(family), image(family)
    network = model.model.diffusion_model
    first, behind, there = plug_and_play.layers_of(network)
    assert behind == there[there.index(first) + 1 :]
    path = standing_path(x, SIGMA)
    run = lambda *ends: estimate(
        plug_and_play.plugged(model, cond(family, 5), path, *ends, "default"),
        *(family, cond(family, 1), x),
    )
    stock = estimate(model, family, cond(family, 1), x)
    assert torch.equal(run(0.0, 0.0), stock)
    assert near(run(1.0, 0.0), stock) > 1e-5


def test_frames_that_are_kept_from_before_are_not_taken_for_the_images():
    """As in causal sampling of Wan: four queries, and as many keys behind two from before."""
    q, k = families.draw(1, 1, 4, 8), families.draw(2, 1, 6, 8)
    call = Call(lambda q, k, v, heads: q, (q, k, k), 2, (), {})
    laid = Laid(Tokens(joint=False), (1, 1), (torch.zeros(1, 3, 2, 2),), {})
    with pytest.raises(RuntimeError, match=r"layer cross\.0: .* got 4 queries and 6 keys"):
        looks_of("cross.0", laid, call, slice(None))


@pytest.mark.skipif("Anima" not in families.FAMILIES, reason="an older ComfyUI")
def test_a_text_that_another_encoder_has_cut_has_its_own_places():
    states, rest = families.FAMILIES["Anima"].cond(1)[0]
    assert (states.shape[1], length_of(states, rest)) == (7, 6)
