"""Text encoders whose context is known: which part of a prompt stands where in it.

CLIPs and T5 give a state for each token. Language models are given a conversation around the
prompt, of which the host keeps a part: see `conversations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from comfy.sdxl_clip import SDXLClipModel
from comfy.text_encoders.flux import FluxClipModel
from comfy.text_encoders.hidream import HiDreamTEModel
from comfy.text_encoders.sd3_clip import SD3ClipModel

from .conversations import context_of, inner_tokenizer, prompt_alone
from .spelling import Pieces, Token, spoken


@dataclass(frozen=True, eq=False)
class Part:
    """What one encoder gives to the context.

    Arguments:
        tokenizer: the host's tokenizer of the encoder.
        pieces: text of the prompt, and its places in the context.
        weights: of the tokens, by their places.
        starts: whether the context begins with a start token.
    """

    tokenizer: Any
    pieces: Pieces
    weights: Mapping[int, float]
    starts: bool


def parts_of(clip: Any, prompt: str) -> list[Part]:
    """Return a part for each encoder whose states the context is made of.

    Arguments:
        clip: the host's CLIP.
        prompt: the text as it is encoded.

    Raises:
        ValueError: the text encoder is of a kind whose context is not known.
    """
    tokens, model = clip.tokenize(prompt, return_word_ids=True), clip.cond_stage_model
    if isinstance(model, SD3ClipModel):
        return _of_sd3(clip, model, tokens)
    if isinstance(model, SDXLClipModel):
        return [_part(clip, tokens, "l"), _part(clip, tokens, "g")]
    if isinstance(model, FluxClipModel):
        return [_part(clip, tokens, "t5xxl")]
    if isinstance(model, HiDreamTEModel):
        parts = _of_hidream(clip, model, tokens)
    else:
        found = [_of_a_conversation(clip, tokens, prompt, name) for name in tokens]
        parts = [part for part in found if part is not None]
    if not parts:
        raise ValueError(
            f"expected a text encoder that keeps a state for each token, got "
            f"{type(model).__name__}: use another model, or energies that look at the image"
        )
    return parts


def _part(clip: Any, tokens: dict[str, Any], name: str, start: int = 0) -> Part:
    """The part of one encoder, whose states begin at a place of the context."""
    tokenizer, chunks = inner_tokenizer(clip, name), tokens[name]
    weights = {start + i: weight for i, weight in enumerate(_weights(chunks))}
    starts = start == 0 and tokenizer.start_token is not None
    return Part(tokenizer, spoken(tokenizer, chunks, start), weights, starts)


def _weights(chunks: list[list[Token]]) -> list[float]:
    return [weight for chunk in chunks for _, weight, *_ in chunk]


def _of_sd3(clip: Any, model: Any, tokens: dict[str, Any]) -> list[Part]:
    """CLIP's states lie side by side, T5's come after them; each may be left out."""
    first = [name for name in ("l", "g") if getattr(model, f"clip_{name}") is not None]
    length = min((sum(map(len, tokens[name])) for name in first), default=0)
    parts = [_part(clip, tokens, name) for name in first]
    return parts + ([_part(clip, tokens, "t5xxl", length)] if model.t5xxl is not None else [])


def _of_hidream(clip: Any, model: Any, tokens: dict[str, Any]) -> list[Part]:
    """T5's states come first; behind them Llama's, of its last layer and of each block's own.

    T5 reads the first 128 tokens of a prompt, Llama all. Llama's start token has no place.
    """
    parts = [_part(clip, tokens, "t5xxl")] if model.t5xxl is not None else []
    if model.llama is None:
        return parts
    before, length = (sum(map(len, tokens[name])) for name in ("t5xxl", "llama"))
    last = _part(clip, tokens, "llama", before - 1)
    own = lambda places: tuple(place + length - 1 for place in places)
    return [*parts, replace(last, pieces=[(text, (*at, *own(at))) for text, at in last.pieces])]


def _of_a_conversation(clip: Any, tokens: dict[str, Any], prompt: str, name: str) -> Part | None:
    """The part of one encoder, where its states are in the context; None where none is."""
    places = context_of(clip.cond_stage_model, tokens, name)
    if not places:
        return None
    tokenizer = inner_tokenizer(clip, name)
    pieces = [
        (text, tuple(places[token] for token in owners))
        for text, owners in prompt_alone(clip, prompt, name)
        if all(token in places for token in owners)
    ]
    weights = {places[i]: w for i, w in enumerate(_weights(tokens[name])) if i in places}
    starts = tokenizer.start_token is not None and places.get(0) == 0
    return Part(tokenizer, pieces, weights, starts)
