"""Language models as text encoders: the prompt inside the conversation that the host makes of it.

Which of the tokens are kept as states of the context, the host's own encoder tells: it is run on
numbers of tokens in place of their states, without its weights.
"""

from __future__ import annotations

from typing import Any

import comfy.sd1_clip
import torch
from torch import nn

from .spelling import Pieces, Token, spoken

# A prompt that shares no piece with any other.
OTHER = "\N{SNOWMAN}"
# Numbers of tokens begin here, so that padding of the context is none of them.
FIRST = 1
NOT_OF_THE_HOST = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)


def inner_tokenizer(clip: Any, name: str) -> Any:
    """The tokenizer of one encoder: hosts call it clip_l, or by its own name."""
    return getattr(clip.tokenizer, f"clip_{name}", None) or getattr(clip.tokenizer, name)


def prompt_alone(clip: Any, prompt: str, name: str) -> Pieces:
    """Return the pieces of the prompt itself, each with the numbers of its tokens.

    What another prompt would have before it and behind it too is the conversation's.
    """
    tokenizer = inner_tokenizer(clip, name)
    here, other = (
        spoken(tokenizer, clip.tokenize(text, return_word_ids=True)[name])
        for text in (prompt, OTHER)
    )
    before = _shared(here, other)
    behind = _shared(here[before:][::-1], other[before:][::-1])
    return here[before : len(here) - behind]


def _shared(pieces: Pieces, others: Pieces) -> int:
    """How many pieces two texts begin with alike."""
    both = min(len(pieces), len(others))
    return next((i for i in range(both) if pieces[i][0] != others[i][0]), both)


def context_of(model: nn.Module, tokens: dict[str, list[list[Token]]], name: str) -> dict[int, int]:
    """Return where in the context the tokens of one encoder stand, by their numbers.

    Arguments:
        model: the host's text encoder, as it stands around the one that is asked for.
        tokens: of a prompt, for each encoder.
        name: of the encoder.

    Returns:
        Nothing where no state of the encoder is in the context, or where a pack's text encoder does
        more with states than keeping them.
    """
    every = range(sum(map(len, tokens[name])))
    if _derives(model, "AnimaTEModel"):
        # T5's tokens become states inside the diffusion model, of what Qwen3 has read.
        return {i: i for i in every} if name == "t5xxl" else {}
    if _derives(model, "LTXAVTEModel"):
        # What pads the prompt on its left is left out.
        pads = next((i for i, (token, *_) in enumerate(tokens[name][0]) if token != 0), 0)
        return {i: i - pads for i in every if i >= pads}
    plain = comfy.sd1_clip.SD1ClipModel.encode_token_weights
    if getattr(type(model), "encode_token_weights", None) is plain:
        return {i: i for i in every}
    try:
        states = _numbered(model, name).encode_token_weights(tokens)[0]
    except NOT_OF_THE_HOST:
        return {}
    numbers = states[0].flatten(1).amax(1).round().to(torch.int64).tolist()
    return {number - FIRST: place for place, number in enumerate(numbers) if number >= FIRST}


def _derives(model: nn.Module, name: str) -> bool:
    """Whether a model is of a class of the host, which not every host has."""
    return any(kind.__name__ == name for kind in type(model).__mro__)


def _numbered(model: nn.Module, name: str) -> Any:
    """The host's text encoder around encoders that give numbers; those of others than one are 0."""
    shell: Any = type(model).__new__(type(model))
    nn.Module.__init__(shell)
    kept = {key: value for key, value in vars(model).items() if not key.startswith("_")}
    inner = {
        key: _Numbers(part, key in (name, f"clip_{name}")) for key, part in model.named_children()
    }
    vars(shell).update(kept | inner)
    return shell


class _Numbers:
    """In place of an encoder of the host: the numbers of tokens in place of their states."""

    def __init__(self, encoder: Any, shown: bool) -> None:
        layers = getattr(encoder, "layer", None)
        # Encoders of several layers give the states of each.
        self.layers = (len(layers),) if isinstance(layers, list) else ()
        self.shown, self.with_masks = shown, getattr(encoder, "return_attention_masks", False)

    def encode_token_weights(self, chunks: list[list[Token]]) -> tuple[Any, ...]:
        """States (1, N, 1), or (1, L, N, 1), a pooled state, and the attention mask."""
        count = sum(map(len, chunks))
        numbers = torch.arange(FIRST, FIRST + count) if self.shown else torch.zeros(count)
        states = numbers.float()[:, None].expand(1, *self.layers, count, 1)
        masks = ({"attention_mask": torch.ones(1, count)},) if self.with_masks else ()
        return (states, torch.zeros(1, 1), *masks)
