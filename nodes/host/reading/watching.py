"""Stands around the calls of the host's kernel in which modules attend to their text.

Whatever kernel computes it goes on computing it, with whatever override another pack has set.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from ..autograd.kernels import changed_attention
from .call import Call
from .laid import Laid

# `around(name, call, laid)`: what a layer's attention gives; `call()` computes it.
Around = Callable[[str, Call, Laid], Tensor]


class Watching:
    """Stands around the attention of some modules, in evaluations of a transformer.

    Arguments:
        network: the host's diffusion network.
        modules: whose attention to the text it is, by name.
        laid: `laid(args, kwargs)`, how the tokens of an evaluation are laid out.
        around: stands around each call.
    """

    def __init__(
        self,
        network: nn.Module,
        modules: Mapping[str, nn.Module],
        laid: Callable[[tuple, dict], Laid],
        around: Around,
    ) -> None:
        self.network, self.modules = network, modules
        self._laid, self._around = laid, around
        self._kernels = contextlib.ExitStack()
        self._open: str | None = None
        self._calls_left = 0

    def hooks(self) -> Iterator[Any]:
        """Hook the network and the modules."""
        yield self.network.register_forward_pre_hook(self._begin, with_kwargs=True)
        # Of several that watch one network, the last to begin is the first to end.
        yield self.network.register_forward_hook(self._end, always_call=True, prepend=True)
        for name, module in self.modules.items():
            yield module.register_forward_pre_hook(partial(self._enter, name))
            yield module.register_forward_hook(self._leave, always_call=True)

    def close(self) -> None:
        """Watch nothing until the network runs again."""
        self._open = None
        self._kernels.close()

    def _begin(self, network: nn.Module, args: tuple, kwargs: dict) -> None:
        self.now = self._laid(args, kwargs)
        self._kernels.enter_context(changed_attention(self._watched))

    def _end(self, network: nn.Module, args: tuple, output: Any) -> None:
        self.close()

    def _enter(self, name: str, module: nn.Module, args: tuple) -> None:
        self._open, self._calls_left = name, self.now.tokens.call(module)

    def _leave(self, module: nn.Module, args: tuple, output: Any) -> None:
        self._open = None

    def _watched(self, kernel: Callable) -> Callable:
        @functools.wraps(kernel)
        def attention(q: Any, k: Any, v: Any, heads: int, *args: Any, **kwargs: Any) -> Tensor:
            if self._open is None or self._calls_left > 0:
                self._calls_left -= 1
                return kernel(q, k, v, heads, *args, **kwargs)
            name, self._open = self._open, None
            call = Call(kernel, (q, k, v), heads, args, kwargs)
            return self._around(name, call, self.now)

        return attention
