"""HiDream-O1: a language model that makes pixels, one token a patch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

NETWORK = "HiDreamO1Transformer"


class _AddsAnew(TorchFunctionMode):
    """Adds into new memory: blocks of ComfyUI 0.33 write their sum over what they were given."""

    def __torch_function__(
        self, func: Callable, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.add:
            kwargs = {name: value for name, value in kwargs.items() if name != "out"}
        return func(*args, **kwargs)


@contextlib.contextmanager
def prepared(network: nn.Module) -> Iterator[None]:
    """Keep the keys and values of the prompt that other steps left for later ones out of the graph.

    Those of a step without a graph lie in inference memory; those of one with a graph would hold
    that graph.
    """
    kept, network._kv_cache_entries = network._kv_cache_entries, []
    try:
        with _AddsAnew():
            yield
    finally:
        network._kv_cache_entries = kept
