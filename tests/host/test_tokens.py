"""Words become positions through the host's own tokenizers; no weights are needed."""

from __future__ import annotations

import os
from types import SimpleNamespace

import comfy.sd1_clip
import comfy.sdxl_clip
import comfy.text_encoders.aura_t5
import comfy.text_encoders.flux
import comfy.text_encoders.sd3_clip
import pytest
import torch
from energy_guidance.guidance_core.attention.words import Word
from energy_guidance.nodes.host import networks, shapes
from energy_guidance.nodes.host.reading.words import find_words, words_of

THERE = (networks.ASSETS / "unet" / "config.json").is_file()


def model_of(kind, **parts):
    """A text encoder of this class without its weights."""
    model = kind.__new__(kind)
    torch.nn.Module.__init__(model)
    for name, value in parts.items():
        setattr(model, name, value)
    return model


def clip_of(tokenizer, model):
    tokenize = lambda text, **options: tokenizer.tokenize_with_weights(text, **options)
    return SimpleNamespace(tokenizer=tokenizer, cond_stage_model=model, tokenize=tokenize)


@pytest.fixture(scope="module")
def sd1():
    model = model_of(comfy.sd1_clip.SD1ClipModel, clip_name="l")
    return clip_of(comfy.sd1_clip.SD1Tokenizer(), model)


@pytest.fixture(scope="module")
def sdxl():
    return clip_of(comfy.sdxl_clip.SDXLTokenizer(), model_of(comfy.sdxl_clip.SDXLClipModel))


@pytest.fixture(scope="module")
def sd3_tokenizer():
    return comfy.text_encoders.sd3_clip.SD3Tokenizer()


def sd3(tokenizer, **parts):
    there = {"clip_l": True, "clip_g": True, "t5xxl": True, **parts}
    loaded = {name: torch.nn.Identity() if flag else None for name, flag in there.items()}
    kind = comfy.text_encoders.sd3_clip.SD3ClipModel
    return clip_of(tokenizer, model_of(kind, **loaded))


@pytest.fixture(scope="module")
def flux():
    module = comfy.text_encoders.flux
    return clip_of(module.FluxTokenizer(), model_of(module.FluxClipModel))


def positions(clip, prompt, words):
    return [word.positions for word in find_words(clip, prompt, words)]


def test_words_and_phrases_of_one_encoder(sd1):
    prompt = "a big red circle and a small white square"
    words = find_words(sd1, prompt, "red circle, square\n\n big ")
    assert words == (Word("red circle", (3, 4)), Word("square", (9,)), Word("big", (2,)))


def test_a_word_of_several_pieces_has_them_all(sd1):
    # The vocabulary has no "trirhombus".
    (found,) = positions(sd1, "a red trirhombus here", "trirhombus")
    assert found[0] == 3
    assert len(found) > 1
    assert positions(sd1, "a red trirhombus here", "here") == [(found[-1] + 1,)]


def test_a_piece_of_a_word_is_not_a_word(sd1):
    assert positions(sd1, "a semicircle or a circle", "circle") == [
        (positions(sd1, "a semicircle or a", "a#2")[0][0] + 1,)
    ]
    with pytest.raises(ValueError, match="'cat'"):
        find_words(sd1, "a catalogue", "cat")


def test_repeated_words_are_all_meant_unless_numbered(sd1):
    prompt = "a red circle and a blue circle"
    assert positions(sd1, prompt, "circle, circle#1, circle#2, a #2") == [(3, 7), (3,), (7,), (5,)]
    with pytest.raises(ValueError, match="circle#3"):
        find_words(sd1, prompt, "circle#3")


@pytest.mark.parametrize(
    "prompt", ["a (red:1.2) circle", "a ((red)) circle", "A Red Circle", "a  red\ncircle"]
)
def test_weights_capitals_and_blanks_do_not_shift_positions(sd1, prompt):
    assert positions(sd1, prompt, "red, red circle, Circle") == [(2,), (2, 3), (3,)]


def test_escaped_brackets_are_tokens(sd1):
    prompt = r"a circle \(drawn\), red"
    assert positions(sd1, prompt, "circle, drawn, red") == [(2,), (4,), (6,)]
    assert positions(sd1, prompt, r"circle \(drawn\)") == [(2, 3, 4, 5)]


def test_long_prompts_go_on_in_the_next_chunk(sd1):
    prompt = "very " * 80 + "red circle"
    # 75 words fit in a chunk of 77; "red" is word 81: the sixth of the second one.
    assert positions(sd1, prompt, "red, circle") == [(77 + 6,), (77 + 7,)]


def test_an_embedding_takes_a_place_for_each_of_its_vectors(tmp_path):
    torch.save({"emb_params": torch.zeros(3, 768)}, tmp_path / "mine.pt")
    tokenizer = comfy.sd1_clip.SD1Tokenizer(embedding_directory=str(tmp_path))
    clip = clip_of(tokenizer, model_of(comfy.sd1_clip.SD1ClipModel, clip_name="l"))
    assert positions(clip, "a embedding:mine circle", "circle") == [(5,)]


def test_both_encoders_of_sdxl_share_their_positions(sdxl):
    assert positions(sdxl, "a red circle! and a square", "circle, square") == [(3,), (7,)]


def test_sd3_has_clip_first_and_t5_behind(sd3_tokenizer):
    clip = sd3(sd3_tokenizer)
    prompt = "a red circle, very round"
    in_clip = positions(sd3(sd3_tokenizer, t5xxl=False), prompt, "red circle, round")
    only_t5 = sd3(sd3_tokenizer, clip_l=False, clip_g=False)
    in_t5 = positions(only_t5, prompt, "red circle, round")
    assert in_clip == [(2, 3), (6,)]
    # T5 has no start token, and spells "a" with two pieces.
    assert in_t5[0] == (2, 3)
    assert positions(clip, prompt, "red circle, round") == [
        here + tuple(77 + place for place in there)
        for here, there in zip(in_clip, in_t5, strict=True)
    ]


def test_t5_behind_two_chunks_of_clip(sd3_tokenizer):
    prompt = "very " * 80 + "red"
    (found,) = positions(sd3(sd3_tokenizer), prompt, "red")
    assert found == (77 + 6, 2 * 77 + 80)


def test_flux_attends_to_t5_alone(flux):
    (found,) = positions(flux, "A red circle", "circle")
    ids = flux.tokenize("A red circle")["t5xxl"][0]
    spelt = flux.tokenizer.t5xxl.inv_vocab
    assert "".join(spelt[ids[place][0]] for place in found) == "▁circle"


def test_words_know_whether_their_context_begins_with_a_start_token(sd1, sdxl, flux, sd3_tokenizer):
    clips = sd1, sdxl, sd3(sd3_tokenizer), flux, sd3(sd3_tokenizer, clip_l=False, clip_g=False)
    found = [find_words(clip, "red circle", "red")[0] for clip in clips]
    assert [word.start_token for word in found] == [True, True, True, False, False]
    assert [word.positions[0] for word in found] == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("prompt", ["A (red:1.3) trirhombus (round)", "a red trirhombus."])
def test_t5_finds_words_of_several_pieces_and_with_weights(flux, prompt):
    red, several = positions(flux, prompt, "red, trirhombus")
    assert len(several) > 1
    assert red[-1] < several[0]


def test_words_come_with_their_pieces_and_weights(sd1, flux):
    prompt = "a (red:1.3) trirhombus"
    a, red, long = words_of(sd1, prompt)
    assert (a.pieces, a.weight) == (("a",), 1.0)
    assert (red.text, red.pieces, red.weight) == ("red", ("red",), pytest.approx(1.3))
    assert (len(long.pieces) > 1, "".join(long.pieces)) == (True, "trirhombus")
    assert [(word.text, word.weight) for word in words_of(flux, prompt)][1] == ("red", 1.3)
    # Behind the first chunk too.
    last = words_of(sd1, "very " * 80 + "(red:0.5)")[-1]
    assert (last.text, last.weight) == ("red", 0.5)


def test_a_missing_word_lists_those_there(sd1):
    with pytest.raises(ValueError, match="a, big, red, circle, and"):
        find_words(sd1, "a big red circle and a (square:1.1)", "triangle")
    with pytest.raises(ValueError, match="at least one word"):
        find_words(sd1, "a circle", " , \n")
    with pytest.raises(ValueError, match="nothing"):
        find_words(sd1, "", "circle")


@pytest.mark.skipif(not THERE and not os.environ.get("CI"), reason="no embedded model")
def test_the_position_is_where_the_states_of_a_causal_encoder_begin_to_differ():
    with torch.inference_mode():
        clip = shapes.load_clip()
        one, two = "a small red circle here", "a small red square here"
        states = [clip.encode_from_tokens(clip.tokenize(text)) for text in (one, two)]
        differs = (states[0] - states[1]).abs().amax(2)[0] > 1e-4
        assert positions(clip, one, "circle") == [(int(differs.nonzero()[0]),)]
