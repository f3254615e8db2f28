"""Words in every script, and textual inversions, mean their own tokens and no others."""

from __future__ import annotations

import comfy.sd1_clip
import pytest
import torch
from energy_guidance.nodes.host import shapes
from energy_guidance.nodes.host.reading.words import find_words, words_of
from energy_guidance.tests.host.test_tokens import (  # noqa: F401 (fixtures)
    THERE,
    clip_of,
    flux,
    model_of,
    positions,
    sd1,
)

SIZES = {"one": 1, "two": 2, "four": 4}


@pytest.fixture(scope="module")
def inversions(tmp_path_factory):
    """CLIP with embeddings; the one of two vectors is how the one of four begins."""
    folder = tmp_path_factory.mktemp("embeddings")
    vectors = torch.randn(4, 768, generator=torch.Generator().manual_seed(0))
    for name, size in SIZES.items():
        torch.save({"emb_params": vectors[:size]}, folder / f"{name}.pt")
    torch.save({"emb_params": -vectors[:2]}, folder / "other.pt")
    tokenizer = comfy.sd1_clip.SD1Tokenizer(embedding_directory=str(folder))
    return clip_of(tokenizer, model_of(comfy.sd1_clip.SD1ClipModel, clip_name="l"))


def test_embeddings_of_one_length_are_told_apart(inversions):
    prompt = "a embedding:other and embedding:two here"
    assert positions(inversions, prompt, "embedding:two, embedding:other") == [(5, 6), (2, 3)]
    with pytest.raises(ValueError, match="embedding:two"):
        find_words(inversions, "a embedding:other here", "embedding:two")


def test_an_embedding_is_not_found_inside_a_longer_one(inversions):
    prompt = "a embedding:four and embedding:two"
    assert positions(inversions, prompt, "embedding:two") == [(7, 8)]
    for name in ("one", "two"):
        with pytest.raises(ValueError, match=f"embedding:{name}"):
            find_words(inversions, "a embedding:four here", f"embedding:{name}")


def test_the_same_embedding_twice_is_two_words(inversions):
    prompt = "embedding:two embedding:two red"
    assert positions(inversions, prompt, "embedding:two, embedding:two#2") == [
        (1, 2, 3, 4),
        (3, 4),
    ]


@pytest.mark.parametrize("word", ["würfel", "café", "круг", "원", "κύκλος"])
def test_chips_show_whole_words_of_every_alphabet(sd1, word):  # noqa: F811
    found = [spelt.text for spelt in words_of(sd1, f"a {word} here")]
    assert found == ["a", word, "here"]
    (places,) = positions(sd1, f"a {word} here", word)
    assert places == tuple(range(2, places[-1] + 1))
    assert positions(sd1, f"a {word} here", "here") == [(places[-1] + 1,)]


def test_pieces_of_a_word_are_text(sd1):  # noqa: F811
    (word,) = words_of(sd1, "würfelförmig")
    assert "".join(word.pieces) == "würfelförmig"
    assert len(word.pieces) > 1


def tokens_between(clip, prompt, before, word):
    """Where the states of a causal text would begin and end to differ, by the tokens alone."""
    count = lambda text: len(
        [t for t, *_ in clip.tokenize(text)["l"][0] if t not in (49406, 49407)]
    )
    return tuple(range(1 + count(before), 1 + count(before + word)))


@pytest.mark.parametrize(
    ("prompt", "before", "word"),
    [
        ("红色的圆形在左边", "红色的", "圆形"),
        ("红色的圆形在左边", "", "红色"),
        ("左に赤い円がある", "左に赤い", "円"),
    ],
)
def test_a_word_without_spaces_is_any_span_of_the_text(sd1, prompt, before, word):  # noqa: F811
    assert positions(sd1, prompt, word) == [tokens_between(sd1, prompt, before, word)]


def test_what_the_vocabulary_does_not_know_is_never_another_unknown_word(flux):  # noqa: F811
    with pytest.raises(ValueError, match="圆形"):
        find_words(flux, "红色 a circle", "圆形")
    (umlaut,) = positions(flux, "ein Würfel hier", "würfel")
    assert umlaut


def test_a_part_of_a_spaced_word_is_still_no_word(sd1):  # noqa: F811
    for prompt, word in (("a catalogue", "cat"), ("ein würfelbecher", "würfel")):
        with pytest.raises(ValueError, match="not in it"):
            find_words(sd1, prompt, word)


@pytest.mark.skipif(not THERE, reason="no embedded model")
def test_shapes_knows_the_embeddings_folder(tmp_path, monkeypatch):
    torch.save({"emb_params": torch.zeros(3, width())}, tmp_path / "mine.pt")
    monkeypatch.setattr(shapes.folder_paths, "get_folder_paths", lambda kind: [str(tmp_path)])
    with torch.inference_mode():
        clip = shapes.load_clip()
    assert positions(clip, "a embedding:mine circle", "circle, embedding:mine") == [(5,), (2, 3, 4)]


def width():
    return shapes.config_of(shapes.ASSETS, "text_encoder")["hidden_size"]
