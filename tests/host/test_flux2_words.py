"""Words of FLUX.2's encoders, whose prompt stands inside a conversation."""

from __future__ import annotations

import base64
import json

import comfy.text_encoders.flux
import pytest
import tokenizers
import torch
from energy_guidance.nodes.host.reading.words import find_words, words_of
from energy_guidance.tests.host.test_encoders import Ids
from energy_guidance.tests.host.test_tokens import clip_of, model_of, positions

encoders = comfy.text_encoders.flux
pytestmark = pytest.mark.skipif(
    not hasattr(encoders, "Flux2TEModel"), reason="this ComfyUI has no FLUX.2"
)
MARKS = ("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")


SPECIAL = ("<unk>", "<s>", "</s>", *MARKS, *(f"<{i}>" for i in range(4)), "<pad>")


def mistral():
    """Bytes, "red" and marks, in place of the vocabulary that comes with FLUX.2 [dev]'s weights."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = [("r", "e"), ("re", "d"), ("Ġ", "red")]
    vocabulary = [*SPECIAL, *alphabet, *("".join(pair) for pair in merges)]
    ranks = {text: rank for rank, text in enumerate(vocabulary)}
    found = tokenizers.Tokenizer(tokenizers.models.BPE(ranks, merges))
    found.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = tokenizers.decoders.ByteLevel()
    found.post_processor = tokenizers.processors.TemplateProcessing("<s> $A", None, [("<s>", 1)])
    found.add_special_tokens(list(SPECIAL))
    return {"tokenizer_object": found, "legacy": False}


def mistral_file():
    """The same as a file, for hosts that read it by themselves."""
    pieces = [*(bytes([byte]) for byte in range(256)), b"re", b"red", b" red"]
    coded = [base64.b64encode(piece).decode() for piece in pieces]
    file = {
        "config": {"default_num_special_tokens": len(SPECIAL), "default_vocab_size": 1000},
        "vocab": [{"rank": rank, "token_bytes": code} for rank, code in enumerate(coded)],
        "special_tokens": [{"rank": rank, "token_str": text} for rank, text in enumerate(SPECIAL)],
    }
    return {"tekken_model": json.dumps(file).encode()}


def around(name):
    """What FLUX.2's text encoder holds: a language model that gives the states of three layers."""
    return {"clip_name": name, "clip": name, name: Ids(3, masks=True)}


@pytest.fixture(scope="module")
def klein():
    model = model_of(encoders.Flux2TEModel, **around("qwen3_4b"))
    return clip_of(encoders.KleinTokenizer(), model)


@pytest.fixture(scope="module")
def dev():
    model = model_of(encoders.Flux2TEModel, **around("mistral3_24b"))
    if hasattr(encoders, "from_tekken_json"):
        return clip_of(encoders.Flux2Tokenizer(tokenizer_data=mistral_file()), model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "load_mistral_tokenizer", lambda data: mistral())
        return clip_of(encoders.Flux2Tokenizer(), model)


@pytest.fixture(params=["klein", "dev"])
def clip(request):
    return request.getfixturevalue(request.param)


def decoded(clip, prompt, places):
    """What the tokens at these places of the context are, by the tokenizer itself."""
    (chunks,) = clip.tokenize(prompt).values()
    inner = getattr(clip.tokenizer, clip.tokenizer.clip).tokenizer
    return inner.decode([chunks[0][place][0] for place in places]).strip()


@pytest.mark.parametrize(
    "prompt",
    [
        "a big red circle and a small square",
        "red circle",
        "\n\nA red\ncircle,\n\nvery big",
        "a (red:1.3) circle \\(drawn\\)",
    ],
)
def test_the_tokens_at_a_words_places_spell_it(clip, prompt):
    red, circle = positions(clip, prompt, "red, circle")
    assert decoded(clip, prompt, red) == "red"
    assert decoded(clip, prompt, circle) == "circle"
    assert max(red) < min(circle)


def test_words_of_the_conversation_are_no_words_of_the_prompt(clip):
    for word in ("user", "assistant", "think", "image", "AI", "structured"):
        with pytest.raises(ValueError, match="choose among a, red, circle"):
            find_words(clip, "a red circle", word)


def test_a_word_that_the_conversation_holds_too_means_the_prompts(clip):
    prompt = "an image of a user and an assistant"
    for word in ("image", "user", "assistant"):
        (places,) = positions(clip, prompt, word)
        assert decoded(clip, prompt, places) == word
        assert positions(clip, prompt, f"{word}#1") == [places]


@pytest.mark.parametrize("word", ["würfel", "круг", "圆形"])
def test_every_script(clip, word):
    (places,) = positions(clip, f"a {word} here", word)
    assert decoded(clip, f"a {word} here", places) == word


def test_chips_are_the_words_of_the_prompt(clip):
    spelt = words_of(clip, "a red\ncircle (round)")
    assert [word.text for word in spelt] == ["a", "red", "circle", "round"]
    assert all(word.weight == 1.0 for word in spelt)
    assert all("".join(word.pieces) == word.text for word in spelt)
    assert words_of(clip, "") == []


def test_a_prompt_beyond_the_fixed_length(klein):
    prompt = "very " * 600 + "red circle"
    (places,) = positions(klein, prompt, "circle")
    assert min(places) > 600
    assert decoded(klein, prompt, places) == "circle"


def test_words_know_whether_their_context_begins_with_a_start_token(klein, dev):
    found = [find_words(clip, "red", "red")[0].start_token for clip in (klein, dev)]
    assert found == [False, True]


@torch.inference_mode()
def test_the_embedding_of_a_text_is_one_of_its_words(tmp_path):
    torch.save({"qwen3_4b": torch.zeros(3, 2560)}, tmp_path / "mine.pt")
    tokenizer = encoders.KleinTokenizer(embedding_directory=str(tmp_path))
    clip = clip_of(tokenizer, model_of(encoders.Flux2TEModel, **around("qwen3_4b")))
    mine, circle = positions(clip, "a embedding:mine circle", "embedding:mine, circle")
    assert mine == tuple(range(mine[0], mine[0] + 3))
    assert circle == (mine[-1] + 1,)
    assert decoded(clip, "a embedding:mine circle", circle) == "circle"
