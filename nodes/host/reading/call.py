"""One call of the host's kernel for attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from ....guidance_core.attention.joint import Places
from ....guidance_core.attention.weights import heads_of

ALL = slice(None)


class Call:
    """A call of the host's kernel, with its queries, keys and values by head.

    Arguments:
        kernel: of the host, or what another pack has put in its place.
        given: queries, keys and values as the host gives them.
        heads: of the queries.
        args: other arguments.
        kwargs: others by name.
    """

    def __init__(
        self, kernel: Callable, given: tuple[Any, Any, Any], heads: int, args: tuple, kwargs: dict
    ) -> None:
        self._kernel, self._given, self._heads = kernel, given, heads
        self._args, self._kwargs = args, kwargs
        # Newer hosts hand over containers, which the kernel empties.
        self._tensors = [part if isinstance(part, Tensor) else part.peek() for part in given]
        names = ("mask", "attn_precision", "skip_reshape", "skip_output_reshape")
        known = {**kwargs, **dict(zip(names, args, strict=False))}
        self.mask: Tensor | None = known.get("mask")
        self.scale: float | None = known.get("scale")
        self._by_head = bool(known.get("skip_reshape"))
        self._out_by_head = bool(known.get("skip_output_reshape"))

    def queries(self, rows: slice) -> Tensor:
        """Queries (B, heads, N, D) of rows."""
        return self._part(0, rows)

    def keys(self, rows: slice) -> Tensor:
        """Keys of rows, as many heads as the queries have."""
        return self._part(1, rows)

    def values(self, rows: slice) -> Tensor:
        """Values of rows, as many heads."""
        return self._part(2, rows)

    def _part(self, number: int, rows: slice) -> Tensor:
        part, q = self._tensors[number][rows], self._tensors[0]
        if not self._by_head:
            # Some of the host's models leave the heads of values apart.
            part = part.flatten(2)
            part = heads_of(part, part.shape[-1] * self._heads // q.flatten(2).shape[-1])
        heads = q.shape[1] if self._by_head else self._heads
        return part.repeat_interleave(heads // part.shape[1], 1)

    def mask_of(self, rows: slice) -> Tensor | None:
        """The mask of rows: booleans or an offset, with any leading axes."""
        several = self.mask is not None and self.mask.ndim > 2 and self.mask.shape[0] > 1
        return self.mask[rows] if several else self.mask

    def outputs(self, out: Tensor, rows: slice) -> Tensor:
        """What the call gave for rows, (B, heads, N, D)."""
        out = out[rows]
        return out if self._out_by_head else heads_of(out, self._heads)

    def looked(self, rows: slice, places: Places) -> tuple[Tensor, Tensor]:
        """Queries and keys of rows at some places, laid out as the host gives them."""
        q, k = (part[rows][self._index(places)] for part in self._tensors[:2])
        return q, k

    def with_looks(
        self, rows: Sequence[slice], places: Places, looks: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Compute attention with other queries and keys at some places of rows, laid out alike."""
        changed = []
        for part, look in zip(self._tensors[:2], looks, strict=True):
            part = part.clone()
            for one in rows:
                part[one][self._index(places)] = look.to(part)
            changed.append(part)
        out: Tensor = self._kernel(
            *changed, self._tensors[2], self._heads, *self._args, **self._kwargs
        )
        return out

    def _index(self, places: Places) -> tuple[Any, ...]:
        return (ALL, ALL, places) if self._by_head else (ALL, places)

    def add(self, out: Tensor, rows: slice, places: Places, change: Tensor) -> None:
        """Add to what the call gave, at some places of rows, shape (B, heads, N, D)."""
        if self._out_by_head:
            out[rows][:, :, places] += change.to(out)
        else:
            out[rows][:, places] += change.transpose(1, 2).flatten(2).to(out)

    def __call__(self) -> Tensor:
        """Compute attention as the host asks."""
        out: Tensor = self._kernel(*self._given, self._heads, *self._args, **self._kwargs)
        return out
