"""Words of HiDream-I1: of T5, and of Llama, whose states the network puts behind T5's twice."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import transformers
from comfy.text_encoders.hidream import HiDreamTEModel, HiDreamTokenizer
from energy_guidance.guidance_core.captures import Attention
from energy_guidance.nodes.host import guide
from energy_guidance.nodes.host.reading.layouts import layout_of
from energy_guidance.nodes.host.reading.prompts import LLAMA, check_context, second_states
from energy_guidance.nodes.host.reading.words import find_words, in_context, words_of
from energy_guidance.tests.host import families, llama, tiny
from energy_guidance.tests.host.test_captures import Looking
from energy_guidance.tests.host.test_encoders import Encoder
from energy_guidance.tests.host.test_prompts import Reading
from energy_guidance.tests.host.test_reading import Kernels, changed, softmax
from energy_guidance.tests.host.test_tokens import clip_of, model_of, positions

PROMPT = "a big red circle and a small square, red"
T5, LAYERS, WIDTH = 128, 3, 32


class Table(torch.nn.Module):
    """An encoder whose states are drawn for each token by itself: a word changes no other's."""

    def __init__(self, layers: int = 0) -> None:
        super().__init__()
        self.layers = (layers,) if layers else ()

    def encode_token_weights(self, chunks):
        row = lambda token: families.draw(token, *self.layers, 1, WIDTH)
        states = torch.cat([row(token) for chunk in chunks for token, *_ in chunk], -2)
        return states[None], torch.zeros(1, WIDTH // 2)


def encoders(tokenizer, **parts):
    """The host's text encoder around encoders of which each may be left out."""
    usual = {"clip_l": Table(), "clip_g": Table(), "t5xxl": Table(), "llama": Table(LAYERS)}
    model = model_of(HiDreamTEModel, **{**usual, **parts})
    clip = clip_of(tokenizer, model)

    def encode(tokens):
        states, pooled, extra = model.encode_token_weights(tokens)
        return [[states, {"pooled_output": pooled, **extra}]]

    return SimpleNamespace(**vars(clip), encode_from_tokens_scheduled=encode)


def encoded(clip, prompt):
    return clip.encode_from_tokens_scheduled(clip.tokenize(prompt))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    with llama.installed(tmp_path_factory.mktemp("llama")):
        return HiDreamTokenizer()


@pytest.fixture(scope="module")
def clip(tokenizer):
    return encoders(tokenizer)


def text_of(clip, prompt):
    """T5's tokens and Llama's without the first, as texts."""
    tokens = clip.tokenize(prompt)
    inner = clip.tokenizer.llama.tokenizer
    spelt = clip.tokenizer.t5xxl.inv_vocab
    return (
        [spelt[token].replace("▁", " ") for token, _ in tokens["t5xxl"][0]],
        [inner.decode([token]) for token, _ in tokens["llama"][0][1:]],
    )


@pytest.mark.parametrize("prompt", [PROMPT, "a (red:1.3)\ncircle, red circle, small square"])
def test_what_stands_at_a_words_places_spells_it_for_both(clip, prompt):
    t5, llama_s = text_of(clip, prompt)
    assert len(t5) == T5
    for word in ("red#1", "circle#1", "small square"):
        (places,) = positions(clip, prompt, word)
        parts = [[place for place in places if place < T5]]
        for begin in (T5, T5 + len(llama_s)):
            parts.append([p - begin for p in places if begin <= p < begin + len(llama_s)])
        assert sum(map(len, parts)) == len(places)
        texts = ["".join(t5[p] for p in parts[0])]
        texts += ["".join(llama_s[p] for p in part) for part in parts[1:]]
        assert [text.strip() for text in texts] == [word.removesuffix("#1")] * 3


def test_the_maps_are_attention_to_the_keys_that_the_word_changes(clip, monkeypatch):
    """From a text to the keys of the host's network, in each of its two kinds of blocks."""
    patcher = families.FAMILIES["HiDream-I1"].model()
    layout = layout_of(patcher.model.diffusion_model)
    kernels = Kernels(monkeypatch, layout.attention)
    (word,) = in_context(clip, "a red circle", find_words(clip, "a red circle", "red"))
    request, seen, calls = Attention(word.positions, "all"), [], []
    for prompt in ("a red circle", "a blue circle"):
        conds = encoded(clip, prompt)
        with torch.inference_mode():
            looking = Looking(frozenset({request}), seen.append)
            options = {"latent": torch.zeros(1, 16, 8, 8), "positive": conds, "negative": conds}
            tiny.sample(guide.apply(patcher, [looking]), steps=1, cfg=1.0, **options)
        calls.append(kernels.taken())
    kernels.close()
    for maps, name in zip(seen[0][request], layout.attention, strict=True):
        (q, k, mask, _), (_, other, *_) = (call[name][0] for call in calls)
        count = maps[0, 0].numel()
        if name.startswith("double"):
            keys = changed(k, other)
            assert [key - count for key in keys] == [2, T5 + 3, T5 + 3 + _llama_tokens(clip)]
        # Blocks have mixed what they carry on; what they are given anew stands at the same places.
        assert keys[-1] in changed(k, other)
        expected = softmax(q, k, mask)[:, :count][..., keys].transpose(1, 2)
        torch.testing.assert_close(maps.flatten(2).double(), expected, rtol=1e-4, atol=1e-7)
    # T5 spells "a" with two pieces.
    assert word.positions == (2, T5 + 2, T5 + 2 + _llama_tokens(clip) - 1)


@torch.inference_mode()
def test_words_of_a_combined_prompt_read_its_own_states_of_both_encoders(clip):
    patcher = families.FAMILIES["HiDream-I1"].model()
    texts = ("a blue square", "a red circle")
    first, second = (encoded(clip, text) for text in texts)
    assert not torch.equal(*(part[0][1][LLAMA] for part in (first, second)))
    words = in_context(clip, texts[1], find_words(clip, texts[1], "red"))

    def maps(positive):
        seen = []
        options = {"latent": torch.zeros(1, 16, 8, 8), "positive": positive, "negative": first}
        tiny.sample(
            guide.apply(patcher, [Reading(words, seen.append)]), steps=1, cfg=1.0, **options
        )
        return seen[0]

    alone = maps(second)
    for positive in (first + second, second + first):
        for one, two in zip(maps(positive), alone, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def _llama_tokens(clip):
    return len(clip.tokenize("a red circle")["llama"][0])


def test_llama_reads_what_t5_cuts_off(clip):
    prompt = "very " * 160 + "red circle"
    (places,) = positions(clip, prompt, "circle")
    assert min(places) >= T5
    assert len(places) == 2 * len("circle")
    assert [word.text for word in words_of(clip, prompt)][-1] == "very"


@pytest.mark.parametrize("word", ["würfel", "круг", "圆形"])
def test_llama_reads_every_script(clip, word):
    (places,) = positions(clip, f"a {word} here", word)
    spelt = clip.tokenizer.llama.tokenizer
    tokens = [token for token, _ in clip.tokenize(f"a {word} here")["llama"][0][1:]]
    own = [p - T5 for p in places if T5 <= p < T5 + len(tokens)]
    assert spelt.decode([tokens[place] for place in own]) == word


def test_encoders_that_are_left_out_have_no_words(tokenizer):
    (both,) = positions(encoders(tokenizer), PROMPT, "small")
    (t5,) = positions(encoders(tokenizer, llama=None), PROMPT, "small")
    (other,) = positions(encoders(tokenizer, t5xxl=None), PROMPT, "small")
    assert both == t5 + other
    with pytest.raises(ValueError, match="expected a text encoder that keeps a state for each"):
        find_words(encoders(tokenizer, llama=None, t5xxl=None), PROMPT, "small")


@pytest.mark.parametrize("left_out", [{}, {"t5xxl": None}], ids=["both", "without T5"])
def test_the_prompt_is_found_by_what_both_encoders_made_of_it(tokenizer, left_out):
    clip = encoders(tokenizer, **left_out)
    words = in_context(clip, PROMPT, find_words(clip, PROMPT, "red"))
    there = lambda text: {"cross_attn": encoded(clip, text)[0][0], **encoded(clip, text)[0][1]}
    context = words[0].context
    assert check_context([there("another"), there(PROMPT)], context) > max(words[0].positions)
    with pytest.raises(ValueError, match="which the sampler does not get"):
        check_context([there("another")], context)
    # What T5 cuts off tells prompts apart too.
    long = "very " * 160
    (word,) = in_context(clip, long + "red", find_words(clip, long + "red", "red"))
    with pytest.raises(ValueError, match="which the sampler does not get"):
        check_context([there(long + "big")], word.context)


def test_a_prompt_behind_another_is_refused_since_llama_reads_the_first_alone(clip):
    (word,) = in_context(clip, PROMPT, find_words(clip, PROMPT, "red"))
    (first, rest), (second, _) = (encoded(clip, text)[0] for text in ("a blue", PROMPT))
    joined = {"cross_attn": torch.cat([first, second], 1), **rest}
    with pytest.raises(ValueError, match=r"behind another.*use Conditioning \(Combine"):
        check_context([joined], word.context)
    joined |= {"conditioning_llama3": encoded(clip, PROMPT)[0][1]["conditioning_llama3"]}
    joined["cross_attn"] = torch.cat([second, first], 1)
    assert check_context([joined], word.context) == T5 + 2 * (second_states(joined).shape[1] - 1)


@pytest.mark.skipif(not llama.drops_blanks(), reason="this transformers heeds tokenizer.json")
def test_transformers_5_leaves_llama_no_blanks_which_is_said(tmp_path):
    fast = transformers.LlamaTokenizerFast
    with llama.installed(tmp_path, fast):
        hidream = encoders(HiDreamTokenizer())
        args = ("hunyuan_video", "HunyuanVideoTokenizer", "HunyuanVideoClipModel", "llama")
        video = Encoder(*args, ("clip_l",)).clip()
    (places,) = positions(hidream, "a red circle", "red")
    assert places == (2,)
    with pytest.raises(ValueError, match="Llama needs the package transformers below 5"):
        find_words(video, "a red circle", "red")
