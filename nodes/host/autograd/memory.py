"""Memory for a backward pass: estimates for the host, words for the user when it falls short."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import comfy.model_management
from comfy.ldm.modules.attention import BasicTransformerBlock

# Activations that a graph saves, relative to the host's own estimate of what inference needs;
# measured in docs/decisions/0002-memory.md.
UNET_GRAPH, BLOCK_GRAPH = 9.0, 0.35
OTHER_GRAPH = 45.0
RECOMPUTED = 1 / 6
DECODE_GRAPH = 2.7

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


def graph_bytes(model: Any, shape: Sequence[int]) -> float:
    """Bytes that the graph of one evaluation of the diffusion model saves.

    Arguments:
        model: the host's BaseModel.
        shape: shape of x, (B, C, *S).
    """
    parts = list(model.diffusion_model.modules())
    blocks = sum(isinstance(part, BasicTransformerBlock) for part in parts)
    share = UNET_GRAPH + BLOCK_GRAPH * blocks if blocks else OTHER_GRAPH
    return share * model.memory_required(list(shape))


def asked_for(patcher: Any, shape: Sequence[int]) -> float:
    """Bytes to ask the host for: the whole graph, or less where it must be recomputed anyway."""
    whole = graph_bytes(patcher.model, shape)
    room = comfy.model_management.get_total_memory(patcher.load_device) - patcher.model_size()
    return whole if whole < room else whole * RECOMPUTED
