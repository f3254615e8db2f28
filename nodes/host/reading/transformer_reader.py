"""Attention of transformers to their text, read from what their blocks hand the host's kernel.

Whatever kernel computes it goes on computing it, with whatever override another pack has set: maps
are computed beside it, from the queries and keys.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn

from ....guidance_core.attention.maps import heads_of
from ..autograd.kernels import changed_attention
from .captured import Captured
from .tokens import Given, Tokens


class TransformerReader:
    """Reads one evaluation of a transformer.

    Arguments:
        captured: what to read, and where it is kept.
        network: the host's diffusion network.
        patch: sides of an image token, in latent pixels: (height, width), with frames before them.
        tokens: where image and text stand.
    """

    def __init__(
        self, captured: Captured, network: nn.Module, patch: tuple[int, ...], tokens: Tokens
    ) -> None:
        self.captured, self.network, self.tokens = captured, network, tokens
        self.patch = (*(1,) * (3 - len(patch)), *patch)
        self._kernels = contextlib.ExitStack()
        self._open: str | None = None
        self._calls_left = 0

    def options(self, transformer: dict[str, Any]) -> dict[str, Any]:
        """Return the transformer options of the evaluation: those of the host."""
        return transformer

    def hooks(self, x: Tensor) -> Iterator[Any]:
        """Hook the network and the modules whose attention is read, for an evaluation at x."""
        yield self.network.register_forward_pre_hook(self._begin, with_kwargs=True)
        yield self.network.register_forward_hook(self._end, always_call=True)
        for name, module in self.captured.attention.items():
            yield module.register_forward_pre_hook(partial(self._enter, name))
            yield module.register_forward_hook(self._leave, always_call=True)

    def activation(self, module: nn.Module, output: Any) -> Tensor:
        """The activation (B, C, h, w), or (B, C, T, h, w), in what a block returned."""
        several = isinstance(output, (tuple, list))
        stream = output[self.tokens.stream] if several else output
        tokens = stream.movedim(self.tokens.batch, 0).flatten(1, -2)
        place = self.tokens.in_stream if several and self.tokens.joint else self.tokens.image
        begin = place(self._given, tokens.shape[1], self._count)
        return tokens[:, begin : begin + self._count].movedim(1, 2).unflatten(2, self._size)

    def close(self) -> None:
        """Read nothing until the network runs again."""
        self._open = None
        self._kernels.close()

    def _begin(self, network: nn.Module, args: tuple, kwargs: dict) -> None:
        # LTX-2 is given a list: the video, and its sound where there is one.
        x = args[0][0] if isinstance(args[0], list) else args[0]
        self._given = Given(x, kwargs)
        sides = x.shape[2:] if x.ndim == 5 else (1, *x.shape[2:])
        frames, *size = (-(-side // part) for side, part in zip(sides, self.patch, strict=True))
        self._size = (frames, *size) if frames > 1 else tuple(size)
        self._count = math.prod(self._size)
        self._kernels.enter_context(changed_attention(self._watched))

    def _end(self, network: nn.Module, args: tuple, output: Any) -> None:
        self.close()

    def _enter(self, name: str, module: nn.Module, args: tuple) -> None:
        self._open, self._calls_left = name, self.tokens.call(module)

    def _leave(self, module: nn.Module, args: tuple, output: Any) -> None:
        self._open = None

    def _watched(self, kernel: Callable) -> Callable:
        @functools.wraps(kernel)
        def attention(q: Any, k: Any, v: Any, heads: int, *args: Any, **kwargs: Any) -> Tensor:
            if self._open is None or self._calls_left > 0:
                self._calls_left -= 1
                return kernel(q, k, v, heads, *args, **kwargs)
            name, self._open = self._open, None
            # Newer hosts hand over containers, which the kernel empties.
            queries, keys = (part if isinstance(part, Tensor) else part.peek() for part in (q, k))
            out = kernel(q, k, v, heads, *args, **kwargs)
            self._keep(name, out, queries, keys, heads, *args, **kwargs)
            return out

        return attention

    def _keep(
        self,
        name: str,
        out: Tensor,
        q: Tensor,
        k: Tensor,
        heads: int,
        mask: Tensor | None = None,
        attn_precision: Any = None,
        skip_reshape: bool = False,
        skip_output_reshape: bool = False,
        scale: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep the maps of a layer, from the result and the arguments of the host's kernel."""
        rows = self.captured.rows
        q, k, out = q[rows], k[rows], out[rows]
        if mask is not None and mask.ndim > 2 and mask.shape[0] > 1:
            mask = mask[rows]
        if not skip_reshape:
            size = q.shape[-1] // heads
            q, k = heads_of(q, heads), heads_of(k, k.shape[-1] // size)
        k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
        begin = self.tokens.image(self._given, q.shape[2], self._count)
        image = slice(begin, begin + self._count)
        if mask is not None and mask.shape[-2] > 1:
            mask = mask[..., image, :]
        text = self.tokens.text(self._given, k.shape[2], self._count)
        if name in self.captured.positions:
            q = q[:, :, image]
            self.captured.keep_attention(name, self._size, q, k, mask, scale, text=text)
        if self.tokens.joint:
            out = out if skip_output_reshape else heads_of(out, heads)
            self.captured.keep_outputs(name, self._size, out[:, :, image], out[:, :, text:])
