"""Maths of attention maps, shared by hosts and by the energies that read them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# Numbers of one chunk of an attention matrix: more chunks are computed twice in place of kept.
ROOM = 2**25


def heads_of(tokens: Tensor, heads: int) -> Tensor:
    """Projected tokens (B, N, heads * D) as (B, heads, N, D)."""
    return tokens.unflatten(2, (heads, -1)).movedim(2, 1)


def maps(
    q: Tensor,
    k: Tensor,
    positions: tuple[int, ...],
    mask: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """How much each query looks at some keys: softmax over all keys, averaged over heads.

    Arguments:
        q: queries, shape (B, heads, N, D).
        k: keys, shape (B, heads, T, D).
        positions: K of the T keys.
        mask: what may be seen, booleans or an offset, shape (N, T) with any leading axes.
        scale: factor of the logits; None is D^-0.5.

    Returns:
        Shape (B, K, N), float32 or wider.
    """
    per_chunk = max(1, ROOM // (q.shape[0] * q.shape[1] * k.shape[2]))
    chunks = q.split(per_chunk, 2)
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    places = torch.tensor(positions, device=q.device)
    biases = [None] * len(chunks) if mask is None else _split(mask, per_chunk, len(chunks))
    if len(chunks) == 1:
        return _looks(q, k, places, biases[0], factor)
    parts = [
        checkpoint(_looks, chunk, k, places, bias, factor, use_reentrant=False)
        for chunk, bias in zip(chunks, biases, strict=True)
    ]
    return torch.cat(parts, 2)


def _split(mask: Tensor, size: int, count: int) -> list[Tensor | None]:
    mask = mask[:, None] if mask.ndim == 3 else mask
    return list(mask.split(size, -2)) if mask.shape[-2] > 1 else [mask] * count


def _looks(q: Tensor, k: Tensor, places: Tensor, bias: Tensor | None, factor: float) -> Tensor:
    wide = torch.promote_types(q.dtype, torch.float32)
    logits = (q.to(wide) * factor) @ k.to(wide).transpose(2, 3)
    if bias is not None:
        logits = (
            logits.masked_fill(~bias, -torch.inf)
            if bias.dtype == torch.bool
            else logits + bias.to(wide)
        )
    looks: Tensor = logits.softmax(3)[..., places].mean(1).transpose(1, 2)
    return looks
