"""Puts what was taken of a source into the rows of a U-Net's evaluations, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ....guidance_core.attention.alignment import Alignment
from ....guidance_core.attention.weights import heads_of, weights_of
from ....guidance_core.process import lengths

QUERIES, KEYS, VALUES, OUT = "to_q", "to_k", "to_v", "to_out"
Taken = dict[tuple[str, str, str], Any]
# Places of the prompt in its context, or of words in it: of the source, and of the target.
Texts = tuple[slice, slice]
Words = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(eq=False)
class Putting:
    """Puts what was taken into the rows of evaluations.

    Arguments:
        taken: what was taken.
        uuids: of the conds whose rows are changed; None changes all.
        alignment: how attention to the prompt is edited.
        texts: places of the prompts in the contexts of both.
        words: of the prompts, whose attention is looked at.
        most: largest number of places whose self-attention is exchanged; 0 for no limit.
    """

    taken: Taken
    uuids: frozenset[Any] | None
    alignment: Alignment | None = None
    texts: Texts = (slice(0), slice(0))
    words: Words = ((), ())
    most: int = 0
    # Attention of the source and of the target's rows to their words, by layer: (B, *size).
    maps: dict[str, list[Tensor]] = field(default_factory=dict)

    def begin(self, network: nn.Module, args: tuple, kwargs: dict) -> None:
        """An evaluation of the network begins: find the rows."""
        uuids = kwargs["transformer_options"]["uuids"]
        # LTX-2 is given a list: the video, and its sound.
        x = args[0][0] if isinstance(args[0], list) else args[0]
        each = len(x) // len(uuids)
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
            raise RuntimeError(changed(key[1], source, out))
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
        there, here = self.texts
        taken = (self.taken["attn2", name, layer] for layer in (QUERIES, KEYS))
        source = weights_of(*(heads_of(part, heads) for part in taken))[..., there]
        out = args[0].clone() if edited else args[0]
        for rows in self.rows:
            noted = (self._noted[name, layer][rows] for layer in (QUERIES, KEYS, VALUES))
            q, k, v = (heads_of(part, heads) for part in noted)
            target = weights_of(q, k[:, :, here])
            looks = self.to_words(source, target)
            self.maps[name] = [part.unflatten(-1, self._sizes[name]) for part in looks]
            if edited and self.alignment is not None:
                change = self.alignment.edited(source, target) - target
                values = v[:, :, here].to(change)
                out[rows] += (change @ values).transpose(1, 2).flatten(2).to(out)
        return (out, *args[1:]) if edited else None

    def to_words(self, source: Tensor, target: Tensor) -> list[Tensor]:
        """Attention (B, heads, N, places) of both to their words together, (B, N) each."""
        return [
            weights.detach()[..., list(places)].sum(-1).mean(1)
            for weights, places in zip((source, target), self.words, strict=True)
        ]


def mixed(mix: Tensor, sources: Tensor) -> Tensor:
    """Rows mixed of several sources (S, N, D), by how much of each there is in a row, (B, S)."""
    return torch.einsum("bs,snd->bnd", mix.to(sources), sources)


def changed(name: str, source: Tensor, out: Tensor) -> str:
    """What is said where another pack changes a layer."""
    return (
        f"layer {name}: the source has {lengths(source[0])}, the edit {lengths(out[0])}: another "
        "pack changes this layer; leave that pack out"
    )
