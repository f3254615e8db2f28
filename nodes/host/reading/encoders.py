"""Text encoders whose context is known: which part of a prompt stands where in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import comfy.sd1_clip
import comfy.text_encoders.flux
from comfy.sdxl_clip import SDXLClipModel
from comfy.text_encoders.flux import FluxClipModel
from comfy.text_encoders.sd3_clip import SD3ClipModel

from .spelling import Pieces, Token, spoken, tokenized

# Newer hosts only.
Flux2Encoder: Any = getattr(comfy.text_encoders.flux, "Flux2TEModel", ())
KINDS = "one CLIP or T5, SDXL, SD3, Flux, FLUX.2"


@dataclass(frozen=True, eq=False)
class Part:
    """What one encoder gives to the context.

    Arguments:
        tokenizer: the host's tokenizer of the encoder.
        chunks: tokens of the prompt.
        pieces: text of the prompt, and its places in the context.
    """

    tokenizer: Any
    chunks: list[list[Token]]
    pieces: Pieces


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
    if isinstance(model, Flux2Encoder):
        return [_of_flux2(clip, _part(clip, tokens, model.clip_name))]
    plain = comfy.sd1_clip.SD1ClipModel
    if isinstance(model, plain) and type(model).encode_token_weights is plain.encode_token_weights:
        return [_part(clip, tokens, model.clip_name)]
    raise ValueError(
        f"expected a text encoder whose context is known ({KINDS}), got {type(model).__name__}: "
        "use another model, or energies that look at the image"
    )


def _part(clip: Any, tokens: dict[str, Any], name: str, start: int = 0) -> Part:
    """The part of one encoder, whose states begin at a place of the context."""
    # Hosts call its tokenizer clip_l, or by its own name.
    tokenizer = getattr(clip.tokenizer, f"clip_{name}", None) or getattr(clip.tokenizer, name)
    return Part(tokenizer, tokens[name], spoken(tokenizer, tokens[name], start))


def _of_sd3(clip: Any, model: Any, tokens: dict[str, Any]) -> list[Part]:
    """CLIP's states lie side by side, T5's come after them; each may be left out."""
    first = [name for name in ("l", "g") if getattr(model, f"clip_{name}") is not None]
    length = min((sum(map(len, tokens[name])) for name in first), default=0)
    parts = [_part(clip, tokens, name) for name in first]
    return parts + ([_part(clip, tokens, "t5xxl", length)] if model.t5xxl is not None else [])


def _of_flux2(clip: Any, part: Part) -> Part:
    """The prompt stands inside a conversation, of which every token is in the context."""
    before, behind = (
        spoken(part.tokenizer, tokenized(part.tokenizer, text))
        for text in clip.tokenizer.llama_template.split("{}")
    )
    # The mark that ends it is told from the back: the host closes blanks behind an embedding.
    ends = [index for index, (text, _) in enumerate(part.pieces) if text == behind[0][0]]
    return replace(part, pieces=part.pieces[len(before) : ends[-1]])
