"""Attention maps of diffusers' U-Net, for energies that read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from guidance_core.attention.maps import attention_maps, heads_of
from guidance_core.captures import DEFAULT, Attention, Capture

# What ComfyUI calls output.2.0, where the colours of Shapes fill their objects.
DEFAULT_LAYER = "up_blocks.1.attentions.0.transformer_blocks.0.attn2"

Read = dict[Capture, tuple[Tensor, ...]]


class Reading:
    """Reads requests of attention in one evaluation of a U-Net.

    Arguments:
        unet: diffusers' U-Net of Shapes; "default" stands for the layer that the pack reads there
            in ComfyUI, output.2.0.
        requests: what to read.

    Raises:
        ValueError: a request for something else.
    """

    def __init__(self, unet: nn.Module, requests: Iterable[Capture]) -> None:
        self.requests = tuple(requests)
        for request in self.requests:
            if not isinstance(request, Attention) or request.layers != DEFAULT:
                raise ValueError(
                    f"the embedded host reads attention of the default layers only, not {request}"
                )
        self.layers = [unet.get_submodule(DEFAULT_LAYER)] if self.requests else []

    @contextmanager
    def open(self) -> Iterator[Read]:
        """Read what is evaluated inside; the result fills up when it ends."""
        seen: dict[tuple[int, str], Tensor] = {}
        read: Read = {}
        if not self.requests:
            yield read
            return
        with ExitStack() as stack:
            for index, layer in enumerate(self.layers):
                for part in ("to_q", "to_k"):
                    hook = partial(_noted, seen, (index, part))
                    handle = getattr(layer, part).register_forward_hook(hook)
                    stack.callback(handle.remove)
            yield read
        for request in self.requests:
            read[request] = tuple(self._maps(seen, i, request) for i in range(len(self.layers)))

    def _maps(self, seen: dict[tuple[int, str], Tensor], index: int, request: Attention) -> Tensor:
        heads: Any = self.layers[index].heads
        q, k = (heads_of(seen[index, part], heads) for part in ("to_q", "to_k"))
        positions = request.positions or tuple(range(k.shape[2]))
        side = math.isqrt(q.shape[2])
        return attention_maps(q, k, positions).unflatten(2, (side, side))


def _noted(seen: dict, key: tuple[int, str], module: nn.Module, args: Any, out: Tensor) -> None:
    seen[key] = out
