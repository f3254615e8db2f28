"""Cross-attention of U-Nets, read by hooks on attn2.to_q and attn2.to_k.

The host's attention kernel stays as it is, and so does whatever other packs have put in its place:
maps are computed beside it, from the queries and keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn

from ....guidance_core.attention.weights import heads_of
from .captured import Captured


class UNetReader:
    """Reads one evaluation of a U-Net.

    Arguments:
        captured: what to read, and where it is kept.
    """

    def __init__(self, captured: Captured) -> None:
        self.captured = captured
        self._open: str | None = None
        self._size: tuple[int, int] = (0, 0)
        self._queries: Tensor | None = None

    def options(self, transformer: dict[str, Any]) -> dict[str, Any]:
        """Return the transformer options of the evaluation: those of the host."""
        return transformer

    def hooks(self, x: Tensor) -> Iterator[Any]:
        """Hook the blocks whose attention is read, for an evaluation at x."""
        for name, block in self.captured.attention.items():
            yield block.register_forward_pre_hook(partial(self._enter, name), with_kwargs=True)
            yield block.attn2.to_q.register_forward_hook(self._on_queries)
            yield block.attn2.to_k.register_forward_hook(partial(self._on_keys, block.attn2))

    def activation(self, module: nn.Module, output: Tensor) -> Tensor:
        """The activation (B, C, h, w) in what a module returned."""
        return output

    def close(self) -> None:
        """Read nothing until a hooked block runs again."""
        self._open = self._queries = None

    def _enter(self, name: str, block: nn.Module, args: tuple, kwargs: dict) -> None:
        self._open = name
        self._size = tuple(kwargs["transformer_options"]["activations_shape"][-2:])

    def _on_queries(self, layer: nn.Module, args: tuple, queries: Tensor) -> None:
        self._queries = queries

    def _on_keys(self, attention: nn.Module, layer: nn.Module, args: tuple, keys: Tensor) -> None:
        # What follows the first keys of a block is another pack's own prompt.
        if self._open is None or self._queries is None:
            return
        name, queries = self._open, self._queries
        self.close()
        # Prompts of other lengths in the same evaluation repeat this one up to theirs.
        rows, length = self.captured.rows, self.captured.prompt.length
        parts = (queries[rows], keys[rows, :length])
        q, k = (heads_of(part, attention.heads) for part in parts)
        self.captured.keep_attention(name, self._size, q, k)
