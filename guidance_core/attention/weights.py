"""Attention weights of queries and keys, in as many chunks as memory asks for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# Numbers of one chunk of an attention matrix: more chunks are computed twice in place of kept.
ROOM = 2**25


def heads_of(tokens: Tensor, heads: int) -> Tensor:
    """Projected tokens (B, N, heads * D) as (B, heads, N, D)."""
    batch, count, width = tokens.shape
    return tokens.reshape(batch, count, heads, width // heads).movedim(2, 1)


def attention_maps(
    q: Tensor,
    k: Tensor,
    positions: tuple[int, ...],
    mask: Tensor | None = None,
    scale: float | None = None,
    heads: str = "mean",
) -> Tensor:
    """Attention of each query to some keys: softmax over all keys.

    Arguments:
        q: queries, shape (B, heads, N, D).
        k: keys, shape (B, heads, T, D).
        positions: K of the T keys.
        mask: which keys count, booleans or an offset, shape (N, T) with any leading axes.
        scale: factor of the logits; None is D^-0.5.
        heads: "mean" of them, or "each".

    Returns:
        Shape (B, K, N), or (B, K, heads, N) of each head, float32 or wider.
    """
    per_chunk = rows_at_once(q, k)
    chunks = torch.split(q, per_chunk, 2)
    places = torch.tensor(positions, device=q.device)
    biases = split_mask(mask, per_chunk, len(chunks))
    if len(chunks) == 1:
        return _maps_of_chunk(q, k, places, biases[0], scale, heads)
    parts = [
        checkpoint(_maps_of_chunk, chunk, k, places, bias, scale, heads, use_reentrant=False)
        for chunk, bias in zip(chunks, biases, strict=True)
    ]
    return torch.cat(parts, -1)


def rows_at_once(q: Tensor, k: Tensor) -> int:
    """How many queries (B, heads, N, D) to compute with all keys at a time, >= 1."""
    return max(1, ROOM // (q.shape[0] * q.shape[1] * k.shape[2]))


def split_mask(mask: Tensor | None, size: int, count: int) -> list[Tensor | None]:
    """The mask of each of `count` chunks of `size` queries."""
    if mask is None:
        return [None] * count
    mask = mask[:, None] if mask.ndim == 3 else mask
    return list(torch.split(mask, size, -2)) if mask.shape[-2] > 1 else [mask] * count


def weights_of(
    q: Tensor, k: Tensor, bias: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Attention of queries to all keys, shape (B, heads, N, T), float32 or wider.

    Arguments as in `attention_maps`.
    """
    wide = torch.promote_types(q.dtype, torch.float32)
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    logits = (q.to(wide) * factor) @ k.to(wide).transpose(2, 3)
    if bias is not None:
        logits = (
            logits.masked_fill(~bias, -torch.inf)
            if bias.dtype == torch.bool
            else logits + bias.to(wide)
        )
    return logits.softmax(3)


def _maps_of_chunk(
    q: Tensor,
    k: Tensor,
    places: Tensor,
    bias: Tensor | None,
    scale: float | None,
    heads: str,
) -> Tensor:
    looks = weights_of(q, k, bias, scale)[..., places]
    return looks.movedim(3, 1) if heads == "each" else looks.mean(1).transpose(1, 2)
