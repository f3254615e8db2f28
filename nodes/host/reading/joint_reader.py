"""Joint attention of transformers, read through the host's attention override.

Text stands first in the joint sequence, then the image, then other images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn

from ....guidance_core.attention.maps import heads_of
from ..autograd.kernels import OVERRIDE
from .captured import Captured


class JointReader:
    """Reads one evaluation of a transformer of joint attention.

    Arguments:
        captured: what to read, and where it is kept.
        patch: side of an image token, in latent pixels.
        image_tokens: `image_tokens(block, output, text)`, the image tokens (B, N, C) in the
            output of a block, where `text` counts the text tokens.
    """

    def __init__(self, captured: Captured, patch: int, image_tokens: Callable[..., Tensor]) -> None:
        self.captured, self.patch, self.image_tokens = captured, patch, image_tokens
        self._open: str | None = None
        self._size: tuple[int, int] = (0, 0)

    def options(self, transformer: dict[str, Any]) -> dict[str, Any]:
        """Return transformer options whose attention is read, by whatever kernel it is computed."""
        previous = transformer.get(OVERRIDE)

        def attention(kernel: Callable, q: Tensor, k: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if self._open is not None:
                self._on_attention(q, k, *args, **kwargs)
            if previous is None:
                return kernel(q, k, *args, **kwargs)
            return previous(kernel, q, k, *args, **kwargs)

        return {**transformer, OVERRIDE: attention}

    def hooks(self, x: Tensor) -> Iterator[Any]:
        """Hook the blocks whose attention is read, for an evaluation at x."""
        height, width = (-(-side // self.patch) for side in x.shape[-2:])
        self._size = (height, width)
        for name, block in self.captured.attention.items():
            yield block.register_forward_pre_hook(partial(self._enter, name))

    def activation(self, module: nn.Module, output: Any) -> Tensor:
        """The activation (B, C, h, w) in what a block returned."""
        tokens = self.image_tokens(module, output, self.captured.prompt.length)
        return tokens[:, : self._size[0] * self._size[1]].movedim(1, 2).unflatten(2, self._size)

    def close(self) -> None:
        """Read nothing until a hooked block runs again."""
        self._open = None

    def _enter(self, name: str, block: nn.Module, args: tuple) -> None:
        self._open = name

    def _on_attention(
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
        """Keep the maps of the open layer, from the arguments of the host's kernel."""
        name, self._open, rows = self._open, None, self.captured.rows
        q, k = q[rows], k[rows]
        if mask is not None and mask.ndim > 2 and mask.shape[0] > 1:
            mask = mask[rows]
        if not skip_reshape:
            q, k = heads_of(q, heads), heads_of(k, heads)
        k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
        first = self.captured.prompt.length
        image = slice(first, first + self._size[0] * self._size[1])
        if mask is not None and mask.shape[-2] > 1:
            mask = mask[..., image, :]
        self.captured.keep_attention(name, self._size, q[:, :, image], k, mask, scale)
