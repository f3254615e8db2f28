"""Puts what was taken of a source into the rows of a U-Net's evaluations, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ....guidance_core.attention.alignment import Alignment
from ....guidance_core.attention.maps import heads_of
from ....guidance_core.process import full_precision, lengths

QUERIES, KEYS, VALUES, OUT = "to_q", "to_k", "to_v", "to_out"
Taken = dict[tuple[str, str, str], Tensor]


@dataclass(eq=False)
class Putting:
    """Puts what was taken into the rows of evaluations.

    Arguments:
        taken: what was taken.
        uuids: of the conds whose rows are changed; None changes all.
        alignment: how attention to the prompt is edited.
        places: of the target's context.
        most: largest number of places whose self-attention is exchanged; 0 for no limit.
    """

    taken: Taken
    uuids: frozenset[Any] | None
    alignment: Alignment | None = None
    places: int = 0
    most: int = 0
    # Attention of the source and of the target's rows, by layer: (B, heads, N, places).
    maps: dict[str, tuple[Tensor, Tensor, tuple[int, int]]] = field(default_factory=dict)

    def begin(self, network: nn.Module, args: tuple, kwargs: dict) -> None:
        """An evaluation of the network begins: find the rows."""
        uuids = kwargs["transformer_options"]["uuids"]
        each = len(args[0]) // len(uuids)
        self.rows = [
            slice(place * each, (place + 1) * each)
            for place, uuid in enumerate(uuids)
            if self.uuids is None or uuid in self.uuids
        ]
        self._done: set[Any] = set()
        self._noted: dict[tuple[str, str], Tensor] = {}
        self._sizes: dict[str, tuple[int, int]] = {}

    def enter(self, name: str, block: nn.Module, args: tuple, kwargs: dict) -> None:
        """A block begins: note the size of its maps."""
        self._sizes[name] = tuple(kwargs["transformer_options"]["activations_shape"][-2:])

    def note(self, name: str, layer: str, module: nn.Module, args: Any, out: Tensor) -> None:
        """Note the first queries, keys and values of a layer."""
        self._noted.setdefault((name, layer), out)

    def exchange(
        self, key: tuple[str, str, str], module: nn.Module, args: Any, out: Tensor
    ) -> Tensor | None:
        """Return a layer's output with the source's in its rows."""
        if key in self._done or not self.rows or (key[0] == "attn1" and self._too_large(out)):
            return None
        self._done.add(key)
        source = self.taken[key]
        if source.shape[1:] != out.shape[1:]:
            raise RuntimeError(_changed(key[1], source, out))
        out = out.clone()
        for rows in self.rows:
            out[rows] = source.to(out)
        return out

    def _too_large(self, out: Tensor) -> bool:
        return bool(self.most) and out.shape[1] > self.most

    def edit(
        self, name: str, heads: int, edited: bool, module: nn.Module, args: tuple
    ) -> tuple[Tensor, ...] | None:
        """Return what attention to the prompt gave, with the edit added in its rows."""
        if name in self._done or not self.rows:
            return None
        self._done.add(name)
        source = _weights(*(self.taken["attn2", name, layer] for layer in (QUERIES, KEYS)), heads)
        out = args[0].clone() if edited else args[0]
        for rows in self.rows:
            q, k, v = (self._noted[name, layer][rows] for layer in (QUERIES, KEYS, VALUES))
            target = _weights(q, k[:, : self.places], heads)
            self.maps[name] = (source, target.detach(), self._sizes[name])
            if edited and self.alignment is not None:
                change = self.alignment.edited(source, target) - target
                values = heads_of(v[:, : self.places], heads).to(change)
                out[rows] += (change @ values).transpose(1, 2).flatten(2).to(out)
        return (out, *args[1:]) if edited else None


def mixed(mix: Tensor, sources: Tensor) -> Tensor:
    """Rows mixed of several sources (S, N, D), by how much of each there is in a row, (B, S)."""
    return torch.einsum("bs,snd->bnd", mix.to(sources), sources)


def _weights(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """Attention of every head, shape (B, heads, N, T), float32 or wider."""
    q, k = (full_precision(heads_of(part, heads)) for part in (q, k))
    return ((q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)).softmax(3)


def _changed(name: str, source: Tensor, out: Tensor) -> str:
    return (
        f"layer {name}: the source has {lengths(source[0])}, the edit {lengths(out[0])}: another "
        "pack changes this layer; leave that pack out"
    )
