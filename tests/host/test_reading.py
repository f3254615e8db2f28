"""What is read in every family of transformers is what its blocks hand the host's kernel."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from energy_guidance.guidance_core.attention.words import Context, Word
from energy_guidance.guidance_core.captures import Attention, Features
from energy_guidance.guidance_core.energies.position import Position
from energy_guidance.guidance_core.rules.forward import Forward
from energy_guidance.guidance_core.schedules import Constant
from energy_guidance.guidance_core.types import Estimate
from energy_guidance.nodes.host import guide
from energy_guidance.nodes.host.reading.layouts import layout_of
from energy_guidance.tests.host import probe, tiny
from energy_guidance.tests.host.families import FAMILIES, model, once, unets
from energy_guidance.tests.host.test_captures import Leftness, Looking, looked

WORDS, WHOLE = Attention((1, 4), "all"), Attention((), "all")
# Noise is of 1 in some models, of 80 in others: so differ how far they are straight, and how small
# a change rounding leaves.
STEPS = (3e-3, 5e-3, 1e-2, 1e-1, 1.0, 3.0, 10.0)
NO_PLACES = (
    *("Stable Cascade C", "Stable Cascade B", "Hunyuan3D 2"),
    *("Stable Audio", "Stable Audio 3", "ACE-Step", "ACE-Step 1.5", "MiniMax-Music3"),
    *("HiDream-O1", "Wan Animate 2"),
)
# Of MiniMax-H3 nothing is read: see test_streams.
READ = [name for name in FAMILIES if name not in (*NO_PLACES, "MiniMax-H3")]
TRANSFORMERS = [name for name in READ if name not in unets.FAMILIES]
SEPARATE = ("PixArt", "HunyuanDiT", "Cosmos", "Anima", "Wan", "SCAIL", "LTX", "Kandinsky")
# Places of a text that have no map: Llama's start tokens, behind T5's 7 and behind its own 5.
STARTS = dict.fromkeys(("HiDream-I1", "HiDream-E1"), (7, 12))
# Images whose rows are longer: behind each row of the latent's tokens stand those of a reference.
ROWS = {"HiDream-E1": (6, 4)}
# Image and text in one sequence, or the text beside it.
CROSS = [name for name in TRANSFORMERS if name.startswith(SEPARATE)]
JOINT = [name for name in TRANSFORMERS if name not in CROSS]


class Kernels:
    """Queries, keys, masks and outputs of every attention inside of modules, beside any reader."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, modules: dict[str, torch.nn.Module]
    ) -> None:
        self.calls: dict[str, list[tuple[Any, ...]]] = {}
        self.inside: str | None = None
        for module in list(sys.modules.values()):
            names = getattr(module, "__dict__", {})
            for name in ("optimized_attention", "optimized_attention_masked"):
                if callable(names.get(name)):
                    monkeypatch.setitem(names, name, self.kept(names[name]))
        self.handles = []
        for name, module in modules.items():
            enter = lambda module, args, name=name: setattr(self, "inside", name)
            leave = lambda module, args, out: setattr(self, "inside", None)
            self.handles += [
                module.register_forward_pre_hook(enter),
                module.register_forward_hook(leave),
            ]

    def kept(self, kernel):
        def attention(q, k, v, heads, mask=None, *args, skip_reshape=False, **kwargs):
            out = kernel(q, k, v, heads, mask, *args, skip_reshape=skip_reshape, **kwargs)
            if self.inside is not None:
                if not skip_reshape:
                    size = q.shape[-1] // heads
                    q, k = (t.unflatten(-1, (-1, size)).transpose(1, 2) for t in (q, k))
                call = (q.clone(), k.clone(), mask, out.clone())
                self.calls.setdefault(self.inside, []).append(call)
            return out

        return attention

    def taken(self) -> dict[str, list[tuple[Any, ...]]]:
        taken, self.calls = self.calls, {}
        return taken

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()


def softmax(q, k, mask):
    """(B, N, T), the mean of heads."""
    k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
    logits = q.double() @ k.double().transpose(2, 3) / q.shape[-1] ** 0.5
    if mask is not None:
        mask = mask[:, None] if mask.ndim == 3 else mask
        logits = (
            logits.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else logits + mask
        )
    return logits.softmax(3).mean(1)


def changed(before, after) -> list[int]:
    """Tokens (B, heads, N, D) that differ."""
    return (before - after).abs().amax((0, 1, 3)).nonzero().flatten().tolist()


class Bumped(Looking):
    """Evaluates at x, with its first pixel changed, with its last one, and with all of them."""

    def __call__(self, denoise, x, sigma, run):
        estimate = super().__call__(denoise, x, sigma, run)
        self.seen("plain")
        corners = [(0, slice(None), *(end,) * (x.ndim - 2)) for end in (0, -1)]
        for where in (*corners, slice(None)):
            there = x.clone()
            there[where] += 1.0
            denoise(there, sigma)
            self.seen("bumped")
        return estimate


def watched(family: str, monkeypatch, seed: int = 1, **conds):
    """Maps of the whole prompt and what the kernel got: as it is, and bumped."""
    patcher, kept = model(family), []
    kernels = Kernels(monkeypatch, layout_of(patcher.model.diffusion_model).features)
    options = FAMILIES[family].options(shape=FAMILIES[family].wide)
    if seed != 1:
        with torch.inference_mode():
            options["positive"][0][0][:, :1] += 1.0
    options["positive"][0][1].update(conds)
    keep = lambda seen: kept.append(kernels.taken() if isinstance(seen, str) else seen)
    with torch.inference_mode():
        guided = guide.apply(patcher, [Bumped(frozenset({WHOLE}), keep)])
        tiny.sample(guided, steps=1, cfg=1.0, **options)
    kernels.close()
    return kept


def attended(family, monkeypatch, **conds):
    """For the first block: its maps, and the call of the kernel in which the image sees the text.

    Returns the map (B, K, N), the call's attention (B, N, T), the queries of the block's first call
    that the latent changes, those that its first and its last pixel change, and the first key that
    the prompt's first token changes.
    """
    maps, *calls = watched(family, monkeypatch, **conds)
    name = next(iter(calls[0]))
    other = watched(family, monkeypatch, seed=2, **conds)[1][name]
    plain, *bumped = (call[name] for call in calls)
    first, last, image = (changed(plain[0][0], there[0][0]) for there in bumped)
    # Wan's models that see an image attend to it first, and where there is none to the text twice.
    for index, (q, k, mask, _) in reversed(list(enumerate(plain))):
        # LTX-2's sound has fewer tokens than its video and its text.
        if q.shape[2] <= max(image) or k.shape[2] < FAMILIES[family].length:
            continue
        joint = k.shape[2] == q.shape[2]
        text = set(changed(k, other[index][1])) - (set(image) if joint else set())
        if text and image:
            return maps[WHOLE][0].flatten(2), softmax(q, k, mask), image, first, last, min(text)
    raise AssertionError("no call of the kernel sees both image and text")


def check(maps, looks, image, text, left_out=()):
    """The maps (B, K, N) are the attention (B, N, T) of the image's tokens to the text."""
    assert len(image) >= maps.shape[2]
    # In some the latent changes more tokens than its own.
    there = image if len(image) == maps.shape[2] else range(image[0], image[0] + maps.shape[2])
    length = maps.shape[1] + len(left_out)
    places = [text + place for place in range(length) if place not in left_out]
    expected = looks[:, list(there)][:, :, places].transpose(1, 2)
    torch.testing.assert_close(maps.double(), expected, rtol=1e-4, atol=1e-7)


# A frame that is given replaces the latent's, whose change shows in no query of the first block.
@pytest.mark.parametrize("family", [n for n in TRANSFORMERS if n != "Kandinsky 5 image to video"])
def test_the_map_is_the_softmax_of_the_kernels_own_queries_and_keys(family, monkeypatch):
    maps, looks, image, first, last, text = attended(family, monkeypatch)
    check(maps, looks, image, text, STARTS.get(family, ()))
    # Where nothing has mixed them, a pixel is a token, in the order of the maps' places.
    if len(first) == 1:
        row, beside = ROWS.get(family, (1, 0))
        places = range(maps.shape[2])
        assert image == [image[0] + i // row * (row + beside) + i % row for i in places]
        assert (first, last) == ([image[0]], [image[-1]])


MASKED = [
    name
    for name in ("LTX-Video", "Qwen-Image", "HunyuanVideo", "HunyuanImage 2.1", "Lens", "Mage-Flow")
    if name in FAMILIES
]


@pytest.mark.parametrize("family", MASKED)
def test_text_that_is_masked_is_not_attended_to(family, monkeypatch):
    mask = torch.tensor([[1, 1, 1, 1, 1, 0, 0]])
    maps, looks, image, _, _, text = attended(family, monkeypatch, attention_mask=mask)
    check(maps, looks, image, text)
    if looks[:, :, text + 5 : text + 7].max() > 0:
        pytest.skip("this ComfyUI attends to what is masked")
    assert maps[:, 5:].max() == 0
    assert maps[:, :5].min() > 0


@pytest.mark.parametrize("family", once(TRANSFORMERS))
@pytest.mark.parametrize("request_", [WORDS, Features("all")], ids=["attention", "features"])
def test_slope_through_what_is_read_is_that_of_finite_differences(family, request_):
    assert any(_gap(family, request_, step) < 1e-2 for step in STEPS)


def _gap(family, request, step):
    """How far the slopes by autograd and by differences are apart, of the larger of them."""
    records = []
    with torch.inference_mode():
        rule = probe.Slopes(Leftness(frozenset({request})), step=step)
        guided = guide.apply(model(family), [rule], trace=records.append)
        tiny.sample(guided, steps=1, cfg=1.0, **FAMILIES[family].options())
    slope, difference = (float(records[0].terms[name]) for name in ("autograd", "difference"))
    assert slope != 0
    return abs(slope - difference) / max(abs(slope), abs(difference))


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_reading_changes_nothing_and_finds_its_rows(family):
    options = FAMILIES[family].options(batch=2)
    start = torch.randn(options["latent"].shape, generator=torch.Generator().manual_seed(3))
    latent = FAMILIES[family].with_sound(start)
    options = {**options, "latent": latent, "steps": 1, "cfg": 4.0}
    stock, seen = tiny.sample(model(family), **options), []
    with torch.inference_mode():
        rule = Looking(frozenset({WHOLE, Features("all")}), seen.append)
        read = tiny.sample(guide.apply(model(family), [rule]), **options)
    for one, two in zip(parts_of(read), parts_of(stock), strict=True):
        assert torch.equal(one, two)
    for request in (WHOLE, Features("all")):
        (alone,) = (looked(model(family), request, **{**options, "cfg": 1.0}),)
        for one, two in zip(alone[0], seen[0][request], strict=True):
            torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-5)


def parts_of(latent):
    """Latents that are sampled in one."""
    return latent.unbind() if latent.is_nested else [latent]


# The host repeats CogVideoX's prompt up to the longer one, and the model attends to all of it.
@pytest.mark.parametrize(
    "family", once(name for name in TRANSFORMERS if not name.startswith("CogVideoX"))
)
def test_a_longer_negative_prompt_changes_nothing(family):
    options, length = FAMILIES[family].options(), FAMILIES[family].length
    with torch.inference_mode():
        states, rest = options["negative"][0]
        options["negative"] = [[torch.cat([states, states], 1), _twice(rest, length)]]
    with_cfg = looked(model(family), WORDS, cfg=4.0, **options)[0]
    alone = looked(model(family), WORDS, **options)[0]
    for one, two in zip(alone, with_cfg, strict=True):
        torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-6)


def _twice(rest, length):
    longer = lambda v: torch.cat([v, v], 1) if v.ndim == 2 and v.shape[1] == length else v
    return {name: longer(v) if torch.is_tensor(v) else v for name, v in rest.items()}


@pytest.mark.parametrize("family", once(READ))
def test_video_has_frames_and_an_image_has_none(family):
    shape = FAMILIES[family].wide or FAMILIES[family].latent
    options = FAMILIES[family].options(shape=shape)
    request = WORDS if FAMILIES[family].length > 4 else Attention((0,), "all")
    maps, features = looked(model(family), request, Features("all"), **options)
    frames = shape[1] if len(shape) == 4 else 1
    for part in (*maps, *features):
        assert part.shape[2:-2] == ((frames,) if frames > 1 else ())
        assert part.shape[-2] * shape[-1] == part.shape[-1] * shape[-2]


@pytest.mark.parametrize("family", [name for name in NO_PLACES if name in FAMILIES])
def test_what_cannot_be_read_says_why(family):
    with pytest.raises(ValueError, match="cannot be read, because"):
        layout_of(model(family).model.diffusion_model)


CONCEPTS, SPREAD = Attention((1, 4), "all", map="concept"), Attention((), "all", "each", "concept")


def test_concept_maps_compare_what_attention_gives_to_image_and_text(monkeypatch):
    """By an independent expression, from the outputs of the kernel of FLUX's blocks."""
    patcher = model("FLUX.1")
    kernels = Kernels(monkeypatch, layout_of(patcher.model.diffusion_model).attention)
    maps, every, heads = looked(
        *(patcher, CONCEPTS, Attention((), "all", map="concept"), SPREAD),
        **FAMILIES["FLUX.1"].options(),
    )
    calls = kernels.taken()
    kernels.close()
    for layer, whole, by_head, name in zip(maps, every, heads, calls, strict=True):
        out = calls[name][0][3].double()
        text, image = out[0, :7], out[0, 7:]
        cosine = (image @ text.T) / image.norm(dim=1)[:, None] / text.norm(dim=1)
        shares = (10 * cosine).exp() / (10 * cosine).exp().sum(1, keepdim=True)
        torch.testing.assert_close(whole[0].flatten(1).double(), shares.T, rtol=1e-4, atol=1e-6)
        assert torch.equal(layer, whole[:, [1, 4]])
        halves = [part.unflatten(1, (2, -1))[:, 1] for part in (image, text)]
        cosine = torch.nn.functional.cosine_similarity(halves[0][:, None], halves[1][None], dim=2)
        shares = (10 * cosine).softmax(1).T
        torch.testing.assert_close(
            by_head[0, :, 1].flatten(1).double(), shares, rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("family", once(JOINT))
def test_concept_maps_have_a_slope_and_tell_places_apart(family):
    (maps,) = looked(model(family), CONCEPTS, **FAMILIES[family].options())
    assert all(part.flatten(2).std(2).min() > 1e-6 for part in maps)
    # Of some they are so curved, or so flat along a direction, that rounding leaves less.
    assert any(_gap(family, CONCEPTS, step) < 3e-2 for step in (*STEPS, 0.3))


@pytest.mark.parametrize("family", ["SDXL", "Wan 2.1"])
def test_concept_maps_of_cross_attention_are_refused(family):
    with pytest.raises(ValueError, match="choose map 'attention' in Prompt Words"):
        guide.apply(model(family), [Looking(frozenset({CONCEPTS}))])


@pytest.mark.parametrize(
    "family", [name for name in ("Anima", "FLUX.2", "Wan 2.1") if name in READ]
)
def test_words_that_know_their_prompt_find_it_where_the_model_changes_or_pads_it(family):
    other, mine = FAMILIES[family].cond(7), FAMILIES[family].cond(1)
    word, records = Word("it", (5,), context=Context(mine[0][0].clone())), []
    options = {**FAMILIES[family].options(), "positive": other + mine, "steps": 1, "cfg": 1.0}
    with torch.inference_mode():
        rule = Forward(Position((word,), (0.3, 0.6)), Constant(0.5))
        tiny.sample(guide.apply(model(family), [rule], trace=records.append), **options)
    (alone,) = looked(
        model(family), Attention((5,)), **{**options, "positive": mine, "negative": other}
    )
    x0 = records[0].energy
    shown = Estimate(x0, x0, captures={Attention((5,)): alone})
    torch.testing.assert_close(x0, rule.energy(shown), rtol=1e-3, atol=1e-5)
