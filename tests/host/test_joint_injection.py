"""Prompt-to-Prompt and Plug-and-Play in joint attention, beside the formula written out."""

from __future__ import annotations

import comfy.model_management
import comfy.sample
import pytest
import torch
from comfy.text_encoders.sd3_clip import SD3Tokenizer
from energy_guidance.guidance_core.attention.alignment import Alignment
from energy_guidance.guidance_core.attention.words import Word
from energy_guidance.guidance_core.energies.presence import Presence
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant, PercentWindow
from energy_guidance.nodes.host import guide, plug_and_play, prompt_to_prompt
from energy_guidance.nodes.host.autograd.kernels import changed_attention
from energy_guidance.nodes.host.injecting.exchange import check_exchange
from energy_guidance.nodes.host.injecting.injected import injected
from energy_guidance.nodes.host.injecting.injection import TAG, Blend, Injection
from energy_guidance.nodes.host.reading.layouts import layout_of
from energy_guidance.nodes.host.reading.words import placed_words
from energy_guidance.tests.host import encoders, families, probe, tiny
from energy_guidance.tests.host.edits import hooks, mixed, near, one_step, same, standing_path
from energy_guidance.tests.host.test_reading import JOINT
from energy_guidance.tests.host.test_tokens import sd3

WHOLE, TOKEN, SIGMA = PercentWindow(0.0, 1.0), ("P2P", "a", "b"), 0.6
# Where text and image stand among the tokens of the small models: seven tokens of text, and
# sixteen of the image (Qwen-Image four). FLUX.2 pads its text to 512 in front, Z-Image text and
# image each to 32 behind, AuraFlow has eight registers before the text.
PLACES = {
    "SD3.5": (slice(0, 7), slice(7, 23), 23),
    "FLUX.1": (slice(0, 7), slice(7, 23), 23),
    "FLUX.1 Kontext": (slice(0, 7), slice(7, 23), 39),
    "FLUX.2": (slice(505, 512), slice(512, 528), 528),
    "Qwen-Image": (slice(0, 7), slice(7, 11), 11),
    "Z-Image": (slice(0, 7), slice(32, 48), 64),
    "AuraFlow": (slice(8, 15), slice(15, 31), 31),
    "HiDream-I1": (slice(16, 23), slice(0, 16), 33),
    # Four of eight in each row: behind them stand the reference's.
    "HiDream-E1": (slice(32, 39), torch.arange(32).view(4, 8)[:, :4].flatten(), 49),
    "Krea 2": (slice(0, 7), slice(7, 23), 23),
}
HERE = [name for name in PLACES if name in families.FAMILIES]


def names(model):
    return tuple(layout_of(model.model.diffusion_model).attention)


def cond(family, seed, tag=None):
    (states, rest), *_ = families.FAMILIES[family].cond(seed)
    return [[states, {**rest, **({} if tag is None else {TAG: tag})}]]


def image(family, seed=4, batch=1):
    return families.draw(seed, batch, *families.FAMILIES[family].latent)


def injection(family, path=None, **parts):
    model = families.model(family)
    defaults = {"cross": (names(model), WHOLE), "alignment": mixed(), "tag": TOKEN}
    source = parts.pop("source", None) or cond(family, 5)
    return Injection("Edit", source, path, **{**defaults, **parts})


def estimate(model, family, positive, x, **options):
    return one_step(model, positive, cond(family, 2), x, SIGMA, **options)


def painted(model, family, positive=None, batch=1, **options):
    asked = families.FAMILIES[family].options(batch)
    asked["positive"] = cond(family, 1, TOKEN) if positive is None else positive
    return tiny.sample(model, **{"steps": 2, **asked, **options})


class Kernel:
    """Stands in for the host's kernel: in float64, with a formula of its own where text is seen.

    Arguments:
        total: tokens of a joint sequence.
        formula: `formula(number, q, k, v)` of each such call, (B, heads, N, D), gives its outputs.
    """

    def __init__(self, total, formula):
        self.total, self.formula, self.calls = total, formula, []

    def sees(self, queries, keys):
        """Whether a call of so many tokens is one of the formula's."""
        return queries == self.total

    def __call__(self, kernel):
        def attention(q, k, v, heads, mask=None, skip_reshape=False, **options):
            parts = [getattr(part, "tensor", part) for part in (q, k, v)]
            if not skip_reshape:
                parts = [part.flatten(2) for part in parts]
                size = parts[0].shape[-1] // heads
                parts = [part.unflatten(-1, (-1, size)).transpose(1, 2) for part in parts]
            if not self.sees(*(part.shape[2] for part in parts[:2])):
                return kernel(q, k, v, heads, mask, skip_reshape=skip_reshape, **options)
            parts = [part.double() for part in parts]
            parts = [part.repeat_interleave(heads // part.shape[1], 1) for part in parts]
            self.calls.append(parts)
            out = self.formula(len(self.calls) - 1, *parts).to(parts[0]).float()
            flat = not options.get("skip_output_reshape")
            return out.transpose(1, 2).flatten(2) if flat else out

        return attention


def softmax_of(q, k):
    return (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5).softmax(-1)


def plain(number, q, k, v):
    return softmax_of(q, k) @ v


def by_hand(family, x, formula):
    """The target's estimate by a formula `formula(source's (q, k, v), q, k, v)`."""
    model, total = families.model(family), PLACES[family][2]
    source = Kernel(total, plain)
    with changed_attention(source):
        estimate(model, family, cond(family, 5), x)
    assert source.calls
    target = Kernel(total, lambda number, *parts: formula(number, source.calls[number], *parts))
    with changed_attention(target):
        return estimate(model, family, cond(family, 1), x)


def edit_of(family, *, words, itself):
    """The edit's formula, in the words of Prompt-to-Prompt and with rows that add up to 1."""
    *places, total = PLACES[family]
    text, own = (torch.arange(total)[part] for part in places)
    plan, image = mixed(), own[:, None]

    def formula(number, source, q, k, v):
        there, rows = softmax_of(*source[:2]), softmax_of(q, k)
        edited = rows.clone()
        if itself:
            edited[:, :, image, own] = there[:, :, image, own]
        if words:
            swapped = there[:, :, image, text] @ plan.source.double()
            share = plan.share.double()
            edited[:, :, image, text] = swapped * share + rows[:, :, image, text] * (1 - share)
        edited[:, :, own] /= edited[:, :, own].sum(-1, keepdim=True)
        if words:
            edited[:, :, image, text] *= plan.factor.double()
        return edited @ v

    return formula


PARTS = {"words": (True, False), "itself": (False, True), "both": (True, True)}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("family", HERE)
def test_attention_is_the_formula_written_out(family, part):
    words, itself = PARTS[part]
    model, x = families.model(family), image(family)
    layers = names(model)
    edit = injection(
        family,
        standing_path(x, SIGMA),
        cross=(layers, WHOLE) if words else ((), None),
        itself=(layers, WHOLE) if itself else ((), None),
    )
    mine = estimate(injected(model, edit), family, cond(family, 1, TOKEN), x)
    agree(mine, by_hand(family, x, edit_of(family, words=words, itself=itself)), family, x)


def agree(mine, truth, family, x):
    """An edit is the true one, and is far from the stock's estimate beside what they differ by."""
    torch.testing.assert_close(mine, truth, rtol=1e-4, atol=1e-4)
    stock = estimate(families.model(family), family, cond(family, 1), x)
    assert near(mine, stock) > 1e-5
    assert near(mine, truth) < 2e-2 * near(mine, stock)


@pytest.mark.once
@pytest.mark.parametrize("family", HERE)
def test_plugged_in_queries_and_keys_are_the_formula_written_out(family):
    model, x = families.model(family), image(family)
    _, own, _ = PLACES[family]

    def formula(number, source, q, k, v):
        q, k = q.clone(), k.clone()
        q[:, :, own], k[:, :, own] = source[0][:, :, own], source[1][:, :, own]
        return softmax_of(q, k) @ v

    edit = Injection("Edit", cond(family, 5), standing_path(x, SIGMA), own=(names(model), WHOLE))
    mine = estimate(injected(model, edit), family, cond(family, 1), x)
    agree(mine, by_hand(family, x, formula), family, x)


# Which of a block's outputs is the image's, and where it begins in it.
STREAMS = {
    "SD3.5": ("joint_blocks", 1, 0),
    "FLUX.1": ("double_blocks", 0, 0),
    "Qwen-Image": ("transformer_blocks", 1, 0),
    "Z-Image": ("layers", None, 32),
}


@pytest.mark.once
@pytest.mark.parametrize("family", [name for name in STREAMS if name in families.FAMILIES])
def test_plugged_in_features_are_the_image_behind_a_block(family):
    blocks, stream, begin = STREAMS[family]
    model, x = families.model(family), image(family)
    block, seen = getattr(model.model.diffusion_model, blocks)[0], []
    count = PLACES[family][1].stop - PLACES[family][1].start
    there = slice(begin, begin + count)

    def look(module, args, out):
        seen.append((out if stream is None else out[stream])[:, there].clone())

    def put(module, args, out):
        part = (out if stream is None else out[stream]).clone()
        part[:, there] = seen[0]
        return (
            part
            if stream is None
            else tuple(part if i == stream else one for i, one in enumerate(out))
        )

    for hook, prompt in ((look, 5), (put, 1)):
        handle = block.register_forward_hook(hook)
        truth = estimate(model, family, cond(family, prompt), x)
        handle.remove()
    name = names(model)[0]
    edit = Injection("Edit", cond(family, 5), standing_path(x, SIGMA), features=((name,), WHOLE))
    mine = estimate(injected(model, edit), family, cond(family, 1), x)
    torch.testing.assert_close(mine, truth, rtol=1e-5, atol=1e-5)
    assert near(mine, estimate(model, family, cond(family, 1), x)) > 1e-5


@pytest.mark.once
@pytest.mark.parametrize("family", JOINT)
def test_a_source_put_into_itself_changes_nothing_in_any_family(family):
    model, x = families.model(family), image(family)
    layers, path = names(model), standing_path(x, SIGMA)
    first = layout_of(model.model.diffusion_model).default_features
    own = {"source": cond(family, 1), "itself": (layers, WHOLE), "features": (first, WHOLE)}
    kept = injected(model, injection(family, path, alignment=same(), **own))
    stock = estimate(model, family, cond(family, 1), x)
    assert near(estimate(kept, family, cond(family, 1, TOKEN), x), stock) < 1e-4
    other = injected(model, injection(family, path, alignment=same(), itself=own["itself"]))
    assert near(estimate(other, family, cond(family, 1, TOKEN), x), stock) > 1e-5
    assert hooks(model) == 0


@pytest.mark.parametrize("family", ["FLUX.1", "Qwen-Image"])
def test_nothing_wanted_is_the_stock_sampler_bit_for_bit(family):
    model = families.model(family)
    stock = painted(model, family, cond(family, 1))
    never = (names(model), None)
    for parts in ({"cross": ((), None), "alignment": None}, {"itself": never, "cross": never}):
        assert torch.equal(painted(injected(model, injection(family, **parts)), family), stock)
    x = image(family)
    off, on = (estimate(plugged(family, end, end), family, cond(family, 1), x) for end in (0, 1))
    stock = estimate(model, family, cond(family, 1), x)
    assert torch.equal(off, stock)
    assert near(on, stock) > 1e-5


def plugged(family, features, attention, layers="default"):
    path = standing_path(image(family), SIGMA)
    ends = (features, attention)
    return plug_and_play.plugged(families.model(family), cond(family, 5), path, *ends, layers)


def test_plug_and_play_takes_the_middle_of_a_transformer_and_what_lies_behind_it():
    network = families.model("FLUX.1").model.diffusion_model
    first, behind, there = plug_and_play.layers_of(network)
    assert (first, behind) == ("double.0", ("single.0",))
    assert there == ("double.0", "single.0")
    with pytest.raises(ValueError, match="no layer nowhere"):
        plugged("FLUX.1", 0.8, 0.5, ("nowhere",))


def only_its_rows_are_changed(model, family, edit, x):
    """Whether an edit leaves the negative prompt's estimate as it was, and changes the result."""
    answers = {}
    keep = lambda args: answers.update(uncond=args["uncond_denoised"].clone()) or args["denoised"]
    for name, one in (("edit", edit), ("stock", model)):
        clone = one.clone()
        clone.set_model_sampler_post_cfg_function(keep, disable_cfg1_optimization=True)
        answers[f"{name} result"] = estimate(clone, family, cond(family, 1, TOKEN), x, cfg=4.0)
        answers[name] = answers.pop("uncond")
    torch.testing.assert_close(answers["edit"], answers["stock"], rtol=1e-5, atol=1e-5)
    return near(answers["edit result"], answers["stock result"]) > 1e-4


@pytest.mark.parametrize("family", [n for n in ("SD3.5", "Z-Image") if n in families.FAMILIES])
def test_only_the_rows_of_the_edited_prompt_are_changed(family):
    model, x = families.model(family), image(family)
    edit = injected(model, injection(family, standing_path(x, SIGMA)))
    assert only_its_rows_are_changed(model, family, edit, x)


@pytest.mark.parametrize("family", ["FLUX.1", "Qwen-Image"])
def test_a_sample_alone_is_edited_as_in_its_batch(family):
    model = families.model(family)
    noise = comfy.sample.prepare_noise(families.FAMILIES[family].options(2)["latent"], 3)
    edit = injected(model, injection(family, itself=(names(model), WHOLE)))
    both = painted(edit, family, batch=2, noise=noise)
    assert near(painted(edit, family, noise=noise[1:]), both[1:]) < 1e-4
    assert near(both, painted(model, family, cond(family, 1), batch=2, noise=noise)) > 1e-4


def blend(model, threshold=0.97):
    layers = layout_of(model.model.diffusion_model).default
    return Blend((2,), (2, 3), layers, threshold, PercentWindow(0.0, 1.0))


@pytest.mark.parametrize(
    ("family", "shape"), [("FLUX.1", (2, 16, 16, 16)), ("Qwen-Image", (2, 16, 1, 16, 16))]
)
def test_outside_of_the_words_the_image_is_the_sources(family, shape):
    model, options = families.model(family), {"latent": torch.zeros(shape)}
    mine = painted(injected(model, injection(family, blend=blend(model))), family, **options)
    source = painted(model, family, cond(family, 5), **options)
    kept = ((mine - source).abs() < 1e-3).all(1).float().mean()
    assert 0.1 < kept < 1.0


@pytest.mark.parametrize("guided_first", [True, False])
def test_an_energy_reads_attention_beside_the_edit(guided_first):
    family = "SD3.5"
    model = families.model(family)
    word = Word("word", (2,), False)
    rules = [Forward(Presence((word,)), Constant(0.5))]
    edit = injection(family, itself=(names(model), WHOLE))
    plain = painted(injected(model, edit), family)
    orders = [
        injected(guide.apply(model, rules), edit),
        guide.apply(injected(model, edit), rules),
    ]
    both = [painted(one, family) for one in (orders if guided_first else orders[::-1])]
    assert near(both[0], plain) > 1e-4
    assert near(*both) < 1e-4
    assert torch.equal(painted(injected(model, edit), family), plain)


@pytest.mark.parametrize("family", [n for n in ("FLUX.1", "Z-Image") if n in families.FAMILIES])
def test_the_slope_through_an_edit_is_that_of_differences(family):
    model, records = families.model(family), []
    edit = injected(model, injection(family, itself=(names(model), WHOLE)))
    with torch.inference_mode():
        guided = guide.apply(edit, [probe.Slopes(step=0.1)], trace=records.append)
        painted(guided, family, steps=3, cfg=1.0)
    probe.agree(records[1])


def test_long_sequences_are_edited_in_pieces(monkeypatch):
    family, x = "FLUX.1", image("FLUX.1")
    model = families.model(family)
    edit = injected(model, injection(family, standing_path(x, SIGMA), itself=(names(model), WHOLE)))
    whole = estimate(edit, family, cond(family, 1, TOKEN), x)
    monkeypatch.setattr("energy_guidance.guidance_core.attention.weights.ROOM", 2 * 23 * 5)
    assert near(estimate(edit, family, cond(family, 1, TOKEN), x), whole) < 1e-5


def test_the_model_is_as_it_was_after_success_error_and_interrupt():
    family = "FLUX.1"
    model = families.model(family)
    stock = painted(model, family, cond(family, 1))
    edit = injected(model, injection(family, itself=(names(model), WHOLE)))
    first = painted(edit, family)

    def stop(step, x0, x, total):
        raise comfy.model_management.InterruptProcessingException

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        painted(edit, family, callback=stop)
    broken = Alignment(torch.eye(4), torch.ones(5), torch.ones(4))
    with pytest.raises(RuntimeError):
        painted(injected(model, injection(family, alignment=broken)), family)
    assert hooks(model) == 0
    assert torch.equal(painted(model, family, cond(family, 1)), stock)
    assert torch.equal(painted(edit, family), first)


def test_another_packs_kernel_stays_beside_the_edit():
    family, x = "FLUX.1", image("FLUX.1")
    model = families.model(family)

    def adding(amount):
        clone = model.clone()

        def override(kernel, *args, **kwargs):
            return kernel(*args, **kwargs) + amount

        options = clone.model_options.setdefault("transformer_options", {})
        clone.model_options["transformer_options"] = {
            **options,
            "optimized_attention_override": override,
        }
        return clone

    edit = injection(family, standing_path(x, SIGMA))
    run = lambda one: estimate(injected(one, edit), family, cond(family, 1, TOKEN), x)
    assert near(run(adding(0.0)), run(model)) < 1e-5
    added = run(adding(0.5))
    assert near(added, run(model)) > 1e-3
    assert near(added, estimate(adding(0.5), family, cond(family, 1), x)) > 1e-4


def test_a_prompt_of_another_length_is_edited_in_its_own_places():
    # The source has five tokens, the target seven: a word that stands twice as long.
    family, x = "Qwen-Image", image("Qwen-Image")
    model = families.model(family)
    matrix = torch.zeros(5, 7)
    matrix[range(5), [0, 1, 2, 5, 6]] = torch.tensor([1.0, 1.0, 0.5, 1.0, 1.0])
    matrix[2, 3] = 0.5
    share = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0])
    plan = Alignment(matrix, share, torch.ones(7))
    source = [[families.draw(5, 1, 5, 32), {}]]
    edit = injection(family, standing_path(x, SIGMA), source=source, alignment=plan)
    mine = estimate(injected(model, edit), family, cond(family, 1, TOKEN), x)
    there = Kernel(9, plain)
    with changed_attention(there):
        estimate(model, family, source, x)

    def formula(number, q, k, v):
        q_source, k_source, _ = there.calls[number]
        before, rows = softmax_of(q_source, k_source)[:, :, 5:], softmax_of(q, k)
        words = before[..., :5] @ matrix.double() * share.double()
        rows[:, :, 7:, :7] = words + rows[:, :, 7:, :7] * (1 - share.double())
        rows[:, :, 7:] /= rows[:, :, 7:].sum(-1, keepdim=True)
        return rows @ v

    with changed_attention(Kernel(11, formula)):
        truth = estimate(model, family, cond(family, 1), x)
    torch.testing.assert_close(mine, truth, rtol=1e-4, atol=1e-4)


def test_the_source_is_seen_with_the_guidance_of_the_edit():
    family, x = "FLUX.1", image("FLUX.1")
    (states, rest), *_ = cond(family, 1, TOKEN)
    target, (source, *_) = [[states, {**rest, "guidance": 9.0}]], cond(family, 5)
    run = lambda source: estimate(
        injected(families.model(family), injection(family, standing_path(x, SIGMA), source=source)),
        family,
        target,
        x,
    )
    given = run([[source[0], {**source[1], "guidance": 9.0}]])
    assert torch.equal(run([source]), given)
    assert not torch.equal(run([[source[0], {**source[1], "guidance": 1.0}]]), given)


def test_each_text_of_a_context_is_aligned_by_itself():
    # CLIP's 77 places, then T5's, in which "teacup" has two pieces and "cup" one.
    clip = sd3(SD3Tokenizer())
    prompts = ("a red cup there", "a red teacup there")
    edit = prompt_to_prompt.Edit(*prompts, weights="red: 3")
    sides = [placed_words(clip, text, 154) for text in prompts]
    assert [list(side) for side in sides] == [[0, 77], [0, 77]]
    for side, text in zip(sides, prompts, strict=True):
        assert [[word.text for word in words] for words in side.values()] == [text.split()] * 2
    plan = prompt_to_prompt._alignment(clip, edit, (154, 154))
    assert plan.source.shape == (154, 154)
    assert not plan.source[:77, 77:].any()
    assert not plan.source[77:, :77].any()
    for start in (0, 77):
        for there, here in zip(sides[0][start], sides[1][start], strict=True):
            taken = plan.source[list(there.places)][:, list(here.places)]
            torch.testing.assert_close(taken.sum(), torch.tensor(float(len(there.places))))
        red = sides[1][start][1].places
        assert (plan.factor[list(red)] == 3.0).all()
    assert (plan.factor != 1).sum() == sum(len(side[1].places) for side in sides[1].values())


@torch.inference_mode()
def test_the_node_edits_by_the_words_of_the_models_own_text_encoder():
    clip, model = encoders.qwen_image(), families.model("Qwen-Image")
    prompts = ("a red circle and a square", "a red triangle and a square")
    edit = prompt_to_prompt.Edit(*prompts, words="triangle", self_end=1.0, cross_end=1.0)
    mine, positive = prompt_to_prompt.edited(model, clip, edit, None)
    stock = painted(model, "Qwen-Image", positive)
    assert near(painted(mine, "Qwen-Image", positive), stock) > 1e-5


def test_models_that_cannot_be_read_are_refused_by_name():
    with pytest.raises(ValueError, match="cannot be read, because its blocks mix"):
        check_exchange(families.model("Stable Cascade C").model.diffusion_model, "Plug-and-Play")
