"""Attention maps and features, read while the host evaluates its model.

The host's attention kernel stays as it is, and so does whatever other packs have put in its place:
maps are computed beside it, from the queries and keys of the layers that were asked for.
U-Nets are read by hooks on attn2.to_q and attn2.to_k, transformers of joint attention through
the host's attention override.  Hooks live for one evaluation of the network.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from torch import Tensor, nn

from ....guidance_core.attention.maps import attention_maps, heads_of
from ....guidance_core.captures import Attention, Capture, Features
from ..autograd.graph import OVERRIDE
from .layouts import layout, picture_stream


@dataclass(frozen=True)
class Prompt:
    """The positive prompt whose rows are read.

    Arguments:
        uuid: the host's name for it within an evaluation.
        length: places in its context.
    """

    uuid: Any
    length: int


class Recorder:
    """Reads requests while the network runs, for the rows of one prompt.

    Arguments:
        network: the host's diffusion network.
        requests: what to read.

    Raises:
        ValueError: the network cannot be read, or has no such layer.
    """

    def __init__(self, network: nn.Module, requests: Iterable[Capture]) -> None:
        self.layout = layout(network)
        self.layers = {request: self.layout.layers(request) for request in requests}
        self.prompt: Prompt | None = None
        self._maps: dict[str, Tensor] = {}
        self._features: dict[str, Tensor] = {}
        self._rows = slice(0)
        self._grid: tuple[int, int] = (0, 0)
        self._queries: Tensor | None = None
        self._open: str | None = None

    @cached_property
    def positions(self) -> dict[str, tuple[int, ...]]:
        """Positions to read in each layer of attention; none means every one."""
        wanted: dict[str, set[int]] = {}
        whole = set()
        for request, names in self.layers.items():
            if isinstance(request, Attention):
                for name in names:
                    wanted.setdefault(name, set()).update(request.positions)
                    whole |= set() if request.positions else {name}
        return {
            name: () if name in whole else tuple(sorted(wanted[name]))
            for name in self.layout.attention
            if name in wanted
        }

    @property
    def blocks(self) -> list[nn.Module]:
        """Blocks whose attention is read, which must keep their graph."""
        return [self.layout.attention[name] for name in self.positions]

    def aim(self, prompt: Prompt) -> None:
        """Choose the prompt to read from here on, and forget what was read."""
        self.prompt = prompt
        self._maps, self._features = {}, {}

    @property
    def values(self) -> Mapping[Capture, tuple[Tensor, ...]]:
        """What was read: for each request a tensor per layer.

        Raises:
            RuntimeError: the prompt was not evaluated.
        """
        if not (self._maps or self._features):
            raise RuntimeError(
                "an energy reads attention or features, but the positive prompt was not evaluated "
                "here: give it a time that covers the guided steps"
            )
        return {request: self._value(request) for request in self.layers}

    def _value(self, request: Capture) -> tuple[Tensor, ...]:
        names = self.layers[request]
        if isinstance(request, Features):
            return tuple(self._features[name] for name in names)
        return tuple(self._selected(name, request.positions) for name in names)

    def _selected(self, name: str, positions: tuple[int, ...]) -> Tensor:
        there = self.positions[name]
        if there == positions:
            return self._maps[name]
        places = [there.index(p) for p in positions] if there else list(positions)
        return self._maps[name][:, places]

    @contextlib.contextmanager
    def reading(self, x: Tensor, uuids: list[Any]) -> Iterator[None]:
        """Read while the network is evaluated at x, which stacks one batch for each uuid."""
        if self.prompt is None or self.prompt.uuid not in uuids:
            yield
            return
        batch, place = x.shape[0] // len(uuids), uuids.index(self.prompt.uuid)
        self._rows = slice(place * batch, (place + 1) * batch)
        if self.layout.patch is not None:
            self._grid = tuple(-(-side // self.layout.patch) for side in x.shape[-2:])
        with contextlib.ExitStack() as stack:
            for handle in self._hooks():
                stack.callback(handle.remove)
            try:
                yield
            finally:
                self._queries = self._open = None

    def _hooks(self) -> Iterator[Any]:
        enter = self._enter_joint if self.layout.patch is not None else self._enter
        for name in self.positions:
            block = self.layout.attention[name]
            yield block.register_forward_pre_hook(partial(enter, name), with_kwargs=True)
            if self.layout.patch is None:
                yield block.attn2.to_q.register_forward_hook(self._on_queries)
                yield block.attn2.to_k.register_forward_hook(partial(self._on_keys, block.attn2))
        for request, names in self.layers.items():
            if isinstance(request, Features):
                for name in names:
                    hook = partial(self._on_features, name)
                    yield self.layout.features[name].register_forward_hook(hook)

    def _enter(self, name: str, block: nn.Module, args: tuple, kwargs: dict) -> None:
        self._open = name
        self._grid = tuple(kwargs["transformer_options"]["activations_shape"][-2:])

    def _enter_joint(self, name: str, block: nn.Module, args: tuple, kwargs: dict) -> None:
        self._open = name

    def _on_queries(self, layer: nn.Module, args: tuple, queries: Tensor) -> None:
        self._queries = queries

    def _on_keys(self, attention: nn.Module, layer: nn.Module, args: tuple, keys: Tensor) -> None:
        if self._queries is None:  # another pack's own prompt: the host's own came first
            return
        queries, self._queries = self._queries, None
        # Prompts of other lengths in the same evaluation repeat this one up to theirs.
        q, k = queries[self._rows], keys[self._rows, : self.prompt.length]
        self._note(heads_of(q, attention.heads), heads_of(k, attention.heads))

    def options(self, transformer: dict[str, Any]) -> dict[str, Any]:
        """Return transformer options with which joint attention can be read."""
        if self.layout.patch is None:
            return transformer
        return {**transformer, OVERRIDE: self._override(transformer.get(OVERRIDE))}

    def _override(self, previous: Callable | None) -> Callable:
        def attention(kernel: Callable, q: Tensor, k: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if self._open is not None:
                self._on_joint(q, k, *args, **kwargs)
            if previous is None:
                return kernel(q, k, *args, **kwargs)
            return previous(kernel, q, k, *args, **kwargs)

        return attention

    def _on_joint(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        heads: int,
        mask: Tensor | None = None,
        skip_reshape: bool = False,
        scale: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Text stands first in the joint sequence, then the picture, then other pictures."""
        q, k = q[self._rows], k[self._rows]
        if mask is not None and mask.ndim > 2 and mask.shape[0] > 1:
            mask = mask[self._rows]
        if not skip_reshape:
            q, k = heads_of(q, heads), heads_of(k, heads)
        k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
        first = self.prompt.length
        picture = slice(first, first + self._grid[0] * self._grid[1])
        if mask is not None and mask.shape[-2] > 1:
            mask = mask[..., picture, :]
        self._note(q[:, :, picture], k, mask, scale)

    def _note(
        self, q: Tensor, k: Tensor, mask: Tensor | None = None, scale: float | None = None
    ) -> None:
        """Keep the maps of the open layer, from queries and keys (B, heads, tokens, D)."""
        name, self._open = self._open, None
        height, width = self._grid
        if q.shape[2] != height * width:
            raise ValueError(
                f"layer {name} attends from {q.shape[2]} places where {height} x {width} were "
                "expected: another pack changes its attention; leave that out, or use energies of "
                "the latent or of the picture"
            )
        positions = self.positions[name] or tuple(range(self.prompt.length))
        flat = attention_maps(q, k, positions, mask, scale)
        self._maps[name] = flat.unflatten(2, (height, width))

    def _on_features(self, name: str, module: nn.Module, args: tuple, out: Any) -> None:
        if self.layout.patch is not None:
            height, width = self._grid
            tokens = picture_stream(module, out, self.prompt.length)[:, : height * width]
            out = tokens.movedim(1, 2).unflatten(2, (height, width))
        # The host may go on in place.
        self._features[name] = out[self._rows].clone()
