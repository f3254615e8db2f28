"""Prompts of which each row of a batch follows another mixture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from .reading.prompts import LLAMA

POOLED = "pooled_output"
# What further encoders made of the text, and masks: the axis of its tokens.
TOKENS = {
    "attention_mask": -1,
    "attention_mask_mt5xl": -1,
    "conditioning_mt5xl": -2,
    "conditioning_byt5small": -2,
    LLAMA: -2,
}
PLACED = ("mask", "area")


def mixed_estimates(prompts: Sequence[Any], weights: Tensor) -> Any:
    """CONDITIONING under which each row's estimate is a weighted mean of those of several prompts.

    Their densities are thereby multiplied, each to the power of its weight. States of text, mixed
    in their place, lead through words that neither prompt has.

    Arguments:
        prompts: S times CONDITIONING, over the whole image.
        weights: of every prompt in each row, shape (N, S), at least one of them positive.

    Raises:
        ValueError: a prompt has an area or a mask of its own.
    """
    parts = []
    for prompt, weight in zip(prompts, weights.unbind(1), strict=True):
        for states, rest in prompt:
            if any(name in rest for name in PLACED):
                raise ValueError(
                    "expected prompts of the whole image, got one with an area or a mask: leave it "
                    "out"
                )
            parts.append([states, {**rest, "mask": weight[:, None, None].float()}])
    return parts


def batch_of(prompts: Sequence[Any]) -> Any:
    """CONDITIONING of several prompts as one, a row for each; shorter ones are padded with zeros.

    What else a prompt has beside its text is the first one's.

    Arguments:
        prompts: CONDITIONING of one text encoder, each of one part and one row.

    Raises:
        ValueError: a prompt of several parts or rows, or of another text encoder.
    """
    parts = [_only(prompt) for prompt in prompts]
    states, rests = [part[0] for part in parts], [part[1] for part in parts]
    if len({part.shape[-1] for part in states}) > 1:
        raise ValueError(
            f"the prompts have {' and '.join(str(part.shape[-1]) for part in states)} channels: "
            "encode both with the CLIP of the model"
        )
    rest = dict(rests[0])
    for name in (POOLED, *TOKENS):
        values = [one.get(name) for one in rests]
        if all(torch.is_tensor(value) for value in values):
            rest[name] = _stacked(values, TOKENS.get(name))
    return [[_stacked(states, -2), rest]]


def _stacked(parts: Sequence[Tensor], axis: int | None) -> Tensor:
    """Parts as rows of a batch; shorter ones are padded with zeros along an axis from the end."""
    if axis is None:
        return torch.cat(list(parts))
    longest = max(part.shape[axis] for part in parts)
    before = (0, 0) * (-axis - 1)
    return torch.cat([pad(part, (*before, 0, longest - part.shape[axis])) for part in parts])


def _only(prompt: Any) -> Any:
    if len(prompt) != 1 or len(prompt[0][0]) != 1:
        raise ValueError(
            "expected a prompt of one part, got several combined: connect CLIP Text Encode itself"
        )
    return prompt[0]
