"""What one evaluation of a model shows of what energies ask for: the store that readers fill."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from ....guidance_core.attention.maps import concept_maps
from ....guidance_core.attention.weights import attention_maps
from ....guidance_core.captures import Attention, Capture, Features
from .layout import Layout
from .prompts import Prompt


class Captured:
    """Attention maps and features of one evaluation, for the rows of one prompt.

    Arguments:
        layout: what can be read in the network.
        requests: what to read.
        prompt: whose rows are read.

    Raises:
        ValueError: the network has no such layer.
    """

    def __init__(self, layout: Layout, requests: Iterable[Capture], prompt: Prompt) -> None:
        self.layout, self.prompt = layout, prompt
        self.layers = {request: layout.layers(request) for request in requests}
        self.rows = slice(0)
        self._maps: dict[str, Tensor] = {}
        self._concepts: dict[tuple[str, Capture], Tensor] = {}
        self._features: dict[str, Tensor] = {}

    @cached_property
    def positions(self) -> dict[str, tuple[int, ...]]:
        """Positions to read in each layer of attention; none means every one."""
        asked: dict[str, list[tuple[int, ...]]] = {}
        for request, names in self._asked("attention").items():
            for name in names:
                asked.setdefault(name, []).append(request.positions)
        return {
            name: tuple(sorted(set().union(*asked[name]))) if all(asked[name]) else ()
            for name in self.layout.attention
            if name in asked
        }

    @cached_property
    def by_head(self) -> frozenset[str]:
        """Layers of attention of which some request wants each head by itself."""
        asked = self._asked("attention").items()
        return frozenset(name for r, names in asked if r.heads == "each" for name in names)

    def _asked(self, kind: str) -> dict[Attention, tuple[str, ...]]:
        """Requests for maps of a kind, with their layers."""
        return {
            request: names
            for request, names in self.layers.items()
            if isinstance(request, Attention) and request.map == kind
        }

    @cached_property
    def attention(self) -> dict[str, nn.Module]:
        """Blocks whose attention is read, by name."""
        asked = set(self.positions).union(*self._asked("concept").values())
        return {name: part for name, part in self.layout.attention.items() if name in asked}

    @property
    def features(self) -> dict[str, nn.Module]:
        """Modules whose output is read, by name."""
        asked = [names for request, names in self.layers.items() if isinstance(request, Features)]
        return {name: self.layout.features[name] for names in asked for name in names}

    def find_rows(self, batch: int, uuids: list[Any]) -> bool:
        """Find the prompt's rows in an evaluation of as many; whether they are in it."""
        if self.prompt.uuid not in uuids:
            return False
        each, place = batch // len(uuids), uuids.index(self.prompt.uuid)
        self.rows = slice(place * each, (place + 1) * each)
        return True

    def keep_attention(
        self,
        name: str,
        size: tuple[int, ...],
        q: Tensor,
        k: Tensor,
        mask: Tensor | None = None,
        scale: float | None = None,
        *,
        text: int = 0,
    ) -> None:
        """Keep the maps of a layer, from q and k (B, heads, ..., D) of the rows.

        Arguments:
            name: of the layer.
            size: of the maps: height and width, with frames before them.
            q: queries of the image, as many as the maps have places.
            k: keys.
            mask: as in `attention_maps`.
            scale: as in `attention_maps`.
            text: place of the prompt among the keys.

        Raises:
            ValueError: there are not as many queries as the maps have places.
        """
        if q.shape[2] != math.prod(size):
            raise ValueError(
                f"layer {name}: expected attention from {' x '.join(map(str, size))} places, got "
                f"{q.shape[2]}: another pack changes this layer; leave that pack out, or use "
                "energies of the latent or of the image"
            )
        places = self.prompt.places
        there = self.positions[name] or range(len(places))
        positions = tuple(text + places[position] for position in there)
        heads = "each" if name in self.by_head else "mean"
        maps = attention_maps(q, k, positions, mask, scale, heads)
        self._maps[name] = maps.unflatten(-1, size)

    def keep_outputs(self, name: str, size: tuple[int, ...], image: Tensor, text: Tensor) -> None:
        """Keep the concept maps of a layer, from outputs (B, heads, ..., D) of the rows.

        Arguments:
            name: of the layer.
            size: of the maps: height and width, with frames before them.
            image: outputs for the image, as many as the maps have places.
            text: outputs for the model's whole context.
        """
        places = list(self.prompt.places)
        for request, names in self._asked("concept").items():
            if name in names:
                there = request.positions or tuple(range(len(places)))
                maps = concept_maps(image, text[:, :, places], there, request.heads)
                self._concepts[name, request] = maps.unflatten(-1, size)

    def keep_features(self, name: str, activation: Tensor) -> None:
        """Keep a layer's activation (B, C, ..., h, w), of all rows of the evaluation."""
        # The host may go on in place.
        self._features[name] = activation[self.rows].clone()

    @property
    def values(self) -> Mapping[Capture, tuple[Tensor, ...]]:
        """What was read: for each request a tensor per layer.

        Raises:
            RuntimeError: the prompt was not evaluated, or another pack computes a layer.
        """
        if not (self._maps or self._features or self._concepts):
            raise RuntimeError(
                "an energy reads attention or features, but the positive prompt was not evaluated "
                "at this step: give it a time range that covers the guided steps"
            )
        kept = self._maps.keys() | {name for name, _ in self._concepts}
        unread = [name for name in self.attention if name not in kept]
        if unread:
            raise RuntimeError(
                f"attention of layer {unread[0]} cannot be read: another pack computes it in its "
                "own way; leave that pack out, or use energies of the latent or of the image"
            )
        return {request: self._value(request) for request in self.layers}

    def _value(self, request: Capture) -> tuple[Tensor, ...]:
        names = self.layers[request]
        if isinstance(request, Features):
            return tuple(self._features[name] for name in names)
        if request.map == "concept":
            return tuple(self._concepts[name, request] for name in names)
        return tuple(self._maps_at(name, request) for name in names)

    def _maps_at(self, name: str, request: Attention) -> Tensor:
        there, positions, maps = self.positions[name], request.positions, self._maps[name]
        if there != positions:
            places = [there.index(p) for p in positions] if there else list(positions)
            maps = maps[:, places]
        return maps.mean(2) if name in self.by_head and request.heads == "mean" else maps
