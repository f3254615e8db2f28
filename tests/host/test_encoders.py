"""Words of every text encoder that the host loads, by the tokenizers that it ships.

Three vocabularies come with the weights of models: sentencepiece's of Gemma and UMT5, for which
that of AuraFlow's T5 stands in, and Llama's, for which bytes and a few words do.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.text_encoders.t5
import pytest
import torch
import transformers
from energy_guidance.nodes.host.reading.words import find_words, words_of
from energy_guidance.tests.host import llama
from energy_guidance.tests.host.test_tokens import clip_of, model_of, positions

PIECES = Path(comfy.text_encoders.t5.__file__).parent / "t5_pile_tokenizer" / "tokenizer.model"
STAND_IN = {"tokenizer_data": {"spiece_model": str(PIECES), "mt5xl.spiece_model": str(PIECES)}}
PROMPT = "a big red circle and a small square, red"


class Ids(torch.nn.Module):
    """An encoder whose states are the numbers of its tokens in the vocabulary."""

    def __init__(self, layers: int, masks: bool) -> None:
        super().__init__()
        self.layer = list(range(layers)) if layers else "last"
        self.return_attention_masks = masks

    def encode_token_weights(self, chunks):
        ids = torch.tensor([[token for chunk in chunks for token, *_ in chunk]])
        layers = (len(self.layer),) if isinstance(self.layer, list) else ()
        states = ids[..., None].double().expand(1, *layers, -1, -1)
        masks = ({"attention_mask": torch.ones_like(ids)},) if self.return_attention_masks else ()
        return (states, torch.zeros(1, 1), *masks)


@dataclass(frozen=True)
class Encoder:
    """A text encoder of the host.

    Arguments:
        module: of comfy.text_encoders.
        tokenizer: its tokenizer.
        model: its model.
        inner: its encoders, by the model's names for them.
        name: of the encoder whose states are the context.
        layers: of which it gives the states, where there are several.
        stand_in: whether its vocabulary comes with weights.
    """

    module: str
    tokenizer: str
    model: str
    name: str
    inner: tuple[str, ...] = ()
    layers: int = 0
    stand_in: bool = False

    @property
    def is_known(self) -> bool:
        try:
            module = importlib.import_module(f"comfy.text_encoders.{self.module}")
        except ModuleNotFoundError:
            return False
        return hasattr(module, self.tokenizer) and hasattr(module, self.model)

    def clip(self) -> Any:
        module = importlib.import_module(f"comfy.text_encoders.{self.module}")
        tokenizer = getattr(module, self.tokenizer)(**(STAND_IN if self.stand_in else {}))
        child = self.name if hasattr(tokenizer, self.name) else f"clip_{self.name}"
        parts = {part: Ids(0, not part.startswith("clip_")) for part in self.inner}
        parts[child] = Ids(self.layers, True)
        kind = getattr(module, self.model)
        return clip_of(tokenizer, model_of(kind, clip_name=self.name, clip=child, **parts))


QWEN, QWEN3 = "qwen25_7b", "qwen3_4b"
ENCODERS = {
    "PixArt": Encoder("pixart_t5", "PixArtTokenizer", "PixArtT5XXL", "t5xxl"),
    "Mochi": Encoder("genmo", "MochiT5Tokenizer", "MochiT5XXL", "t5xxl"),
    "Cosmos": Encoder("cosmos", "CosmosT5Tokenizer", "CosmosT5XXL", "t5xxl"),
    "CogVideoX": Encoder("cogvideo", "CogVideoXTokenizer", "CogVideoXT5XXL", "t5xxl"),
    "AuraFlow": Encoder("aura_t5", "AuraT5Tokenizer", "AuraT5Model", "pile_t5xl"),
    "Wan": Encoder("wan", "WanT5Tokenizer", "WanT5Model", "umt5xxl", stand_in=True),
    "HunyuanDiT": Encoder(
        *("hydit", "HyditTokenizer", "HyditModel", "hydit_clip", ("mt5xl",)), stand_in=True
    ),
    "Lumina 2": Encoder("lumina2", "LuminaTokenizer", "LuminaModel", "gemma2_2b", stand_in=True),
    "PixelDiT": Encoder(
        *("pixeldit", "PixelDiTGemma2Tokenizer", "PixelDiTGemma2TE", "gemma2_2b"), stand_in=True
    ),
    "Qwen-Image": Encoder("qwen_image", "QwenImageTokenizer", "QwenImageTEModel", QWEN),
    "Mage-Flow": Encoder("mage_flow", "MageFlowTokenizer", "MageFlowTEModel", "qwen3vl_4b"),
    "HunyuanImage": Encoder(
        *("hunyuan_image", "HunyuanImageTokenizer", "HunyuanImageTEModel", QWEN), ("byt5_small",)
    ),
    "Kandinsky 5": Encoder(
        *("kandinsky5", "Kandinsky5Tokenizer", "Kandinsky5TEModel", QWEN), ("clip_l",)
    ),
    "Kandinsky 5 image": Encoder(
        *("kandinsky5", "Kandinsky5TokenizerImage", "Kandinsky5TEModel", QWEN), ("clip_l",)
    ),
    "OmniGen2": Encoder("omnigen2", "Omnigen2Tokenizer", "Omnigen2Model", "qwen25_3b"),
    "Z-Image": Encoder("z_image", "ZImageTokenizer", "ZImageTEModel", QWEN3),
    "FLUX.2 Klein": Encoder("flux", "KleinTokenizer", "Flux2TEModel", QWEN3, layers=3),
    "Krea 2": Encoder("krea2", "Krea2Tokenizer", "Krea2TEModel", "qwen3vl_4b", layers=12),
    "Boogu": Encoder("boogu", "BooguTokenizer", "BooguTEModel", "qwen3vl_8b"),
    "Ideogram 4": Encoder(
        *("ideogram4", "Ideogram4Tokenizer", "Ideogram4TEModel", "qwen3vl_8b"), layers=13
    ),
    "JoyImage": Encoder("joyimage", "JoyImageTokenizer", "JoyImageTEModel", "qwen3vl_8b"),
    "LongCat-Image": Encoder("longcat_image", "LongCatImageTokenizer", "LongCatImageTEModel", QWEN),
    "HunyuanVideo": Encoder(
        *("hunyuan_video", "HunyuanVideoTokenizer", "HunyuanVideoClipModel", "llama"), ("clip_l",)
    ),
}
KNOWN = [name for name, encoder in ENCODERS.items() if encoder.is_known]
EACH = pytest.mark.parametrize("family", KNOWN)


@pytest.fixture(scope="module", autouse=True)
def _vocabularies(tmp_path_factory):
    with llama.installed(tmp_path_factory.mktemp("llama")), pytest.MonkeyPatch.context() as patch:
        for kind in (transformers.Qwen2Tokenizer, transformers.CLIPTokenizer):
            patch.setattr(kind, "from_pretrained", functools.cache(kind.from_pretrained))
        yield


@pytest.fixture(scope="module")
def clips():
    return functools.cache(lambda family: ENCODERS[family].clip())


def decoded(clip, prompt, places, name):
    """What stands at places of the context that the host's own model makes of the tokens."""
    context = clip.cond_stage_model.encode_token_weights(clip.tokenize(prompt))[0]
    ids = context[0].reshape(context.shape[1], -1)[:, 0]
    tokenizer = getattr(clip.tokenizer, f"clip_{name}", None) or getattr(clip.tokenizer, name)
    tokens = [int(ids[place]) for place in places]
    if hasattr(tokenizer.tokenizer, "decode"):
        return tokenizer.tokenizer.decode(tokens).strip().lower()
    return "".join(tokenizer.inv_vocab[token] for token in tokens).replace("▁", " ").strip()


@EACH
def test_what_stands_at_a_words_places_spells_it(family, clips):
    clip, name = clips(family), ENCODERS[family].name
    for word in ("red", "circle", "small square", "red#2"):
        (places,) = positions(clip, PROMPT, word)
        once = places[: len(places) // 2] if word == "red" else places
        assert decoded(clip, PROMPT, once, name) == word.removesuffix("#2"), places
    first, second, every = positions(clip, PROMPT, "red#1, red#2, red")
    assert first + second == every


@EACH
def test_words_of_the_conversation_are_not_the_prompts(family, clips):
    for word in ("user", "assistant", "describe", "image", "prompt"):
        with pytest.raises(ValueError, match="choose among a, big, red, circle"):
            find_words(clips(family), PROMPT, word)


@EACH
def test_chips_are_the_words_of_the_prompt(family, clips):
    spelt = words_of(clips(family), "a red circle")
    assert [word.text for word in spelt] == ["a", "red", "circle"]
    assert all("".join(word.pieces) == word.text for word in spelt)


@EACH
def test_a_prompt_may_begin_with_line_breaks_and_hold_the_conversations_words(family, clips):
    clip, name = clips(family), ENCODERS[family].name
    prompt = "an image of a user\nand an assistant"
    for word in ("image", "user", "assistant"):
        (places,) = positions(clip, prompt, word)
        assert decoded(clip, prompt, places, name) == word


@pytest.mark.skipif(
    not Encoder("anima", "AnimaTokenizer", "AnimaTEModel", "t5xxl").is_known,
    reason="this ComfyUI has no Anima",
)
def test_anima_reads_the_tokens_of_t5():
    clip = Encoder("anima", "AnimaTokenizer", "AnimaTEModel", "qwen3_06b", ("t5xxl",)).clip()
    ids = [token for token, _ in clip.tokenize(PROMPT)["t5xxl"][0]]
    for word in ("circle", "small square"):
        (places,) = positions(clip, PROMPT, word)
        assert clip.tokenizer.t5xxl.decode([ids[place] for place in places]) == word


@pytest.mark.skipif(
    not Encoder("lt", "LTXAVGemmaTokenizer", "LTXAVTEModel", "gemma3_12b").is_known,
    reason="this ComfyUI has no LTX 2",
)
def test_what_pads_a_prompt_of_ltx_2_on_its_left_is_left_out():
    clip = Encoder("lt", "LTXAVGemmaTokenizer", "LTXAVTEModel", "gemma3_12b", stand_in=True).clip()
    ids = [token for token, _ in clip.tokenize(PROMPT)["gemma3_12b"][0]]
    assert len(ids) == 1024
    kept = ids[next(i for i, token in enumerate(ids) if token != 0) :]
    for word in ("circle", "small square"):
        (places,) = positions(clip, PROMPT, word)
        spelt = "".join(clip.tokenizer.gemma3_12b.inv_vocab[kept[place]] for place in places)
        assert spelt.replace("▁", " ").strip() == word


def test_a_text_encoder_of_one_vector_is_refused(clips):
    class Pooled(torch.nn.Module):
        def encode_token_weights(self, tokens):
            return torch.zeros(1, 1, 8), torch.zeros(1, 8)

    clip = clips("PixArt")
    other = clip_of(clip.tokenizer, Pooled())
    with pytest.raises(ValueError, match="expected a text encoder that keeps a state for each"):
        find_words(other, PROMPT, "red")
