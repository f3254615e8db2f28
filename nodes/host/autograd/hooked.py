"""Weights that the host overwrites between prompts: those that LoRA hooks of a prompt change."""

from __future__ import annotations

from typing import Any

import comfy.utils
from torch import nn

from .fetched import fetched_forward

LATE = (
    "prompts with different LoRA hooks share layers whose weights are read again in the backward "
    "pass (cast, quantised or low-VRAM weights, or too little memory for the whole graph), where "
    "the LoRA of the other prompt has taken their place: use weights that stay as they are, one "
    "LoRA for all prompts, or Rule: Backward or Rule: Manifold"
)


def hooked_keys(model: Any) -> set[str]:
    """Return the names of the weights that hooks change during sampling.

    Arguments:
        model: the host's BaseModel.
    """
    patches = getattr(getattr(model, "current_patcher", None), "hook_patches", {})
    return {key for changed in patches.values() for key in changed}


def addresses_of(model: Any, keys: set[str]) -> set[int]:
    """Memory addresses of weights: hooks write into the same memory."""
    weights = [comfy.utils.get_attr(model, key) for key in keys]
    return {weight.data_ptr() for weight in weights}


def is_read_late(model: Any, keys: set[str]) -> bool:
    """Whether a layer with such a weight fetches it again in its backward pass."""
    owners: list[nn.Module] = [
        comfy.utils.get_attr(model, key.rpartition(".")[0]) for key in sorted(keys)
    ]
    return any(fetched_forward(owner) is not None for owner in owners)
