"""Memory for a backward pass: estimates for the host, words for the user when it falls short."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import comfy.model_management
import torch
import torch.utils.checkpoint
from torch import nn

# Saved activations relative to the host's own estimate of what inference needs; measured, see
# docs/decisions/0002-memory.md.
MODEL_GRAPH = 4.0
DECODE_GRAPH = 2.5

PREFIX = "ran out of memory while differentiating"
ADVICE = (
    "What lowers it, most first: a smaller latent size or batch; decoder 'taesd' or 'rgb' in place "
    "of the VAE; the backward rule alone, which does not differentiate through the model; fewer "
    "cutouts or a smaller guide network."
)
SIGNS = ("out of memory", "not enough memory", "can't allocate memory")


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Say which settings lower the memory, when there is too little of it."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if any(sign in text for sign in SIGNS) and not text.startswith(PREFIX):
            error.args = (f"{PREFIX} {what}. {ADVICE} ({text})",)
        raise


def widened(
    shape: Sequence[int], extra: float, required: Callable[[list[int]], float]
) -> list[int]:
    """Return the noise shape whose memory estimate covers extra bytes on top of its own.

    The host estimates from a shape alone, so the batch axis has to stand for the extra bytes.

    Arguments:
        shape: noise shape, (B, C, *S).
        extra: bytes that guidance needs on top of the host's estimate.
        required: the host's estimate for a shape.
    """
    own = max(required([shape[0] * 2, *shape[1:]]), 1.0)
    return [math.ceil(shape[0] * (1 + extra / own)), *shape[1:]]


def is_short_of(needed: float, device: Any) -> bool:
    """Whether a device has fewer free bytes than needed."""
    return needed > comfy.model_management.get_free_memory(device)


@contextlib.contextmanager
def checkpointed(root: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Iterator[None]:
    """Let blocks of these kinds save their input only, and compute again in backward."""
    blocks = [m for m in root.modules() if isinstance(m, kinds) and "forward" not in m.__dict__]
    try:
        for block in blocks:
            block.__dict__["forward"] = _recomputing(block.forward)
        yield
    finally:
        for block in blocks:
            block.__dict__.pop("forward", None)


def _recomputing(forward: Callable) -> Callable:
    return lambda *args, **kwargs: torch.utils.checkpoint.checkpoint(
        forward, *args, use_reentrant=False, **kwargs
    )
