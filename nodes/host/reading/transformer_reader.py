"""Attention of transformers to their text, read from what their blocks hand the host's kernel.

Maps are computed beside the kernel, from the queries and keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn

from .call import Call
from .captured import Captured
from .laid import Laid
from .watching import Watching


class TransformerReader:
    """Reads one evaluation of a transformer.

    Arguments:
        captured: what to read, and where it is kept.
        network: the host's diffusion network.
        laid: `laid(args, kwargs)`, how the tokens of an evaluation are laid out.
    """

    def __init__(
        self, captured: Captured, network: nn.Module, laid: Callable[[tuple, dict], Laid]
    ) -> None:
        self.captured = captured
        self._watching = Watching(network, captured.attention, laid, partial(_read, captured))

    def options(self, transformer: dict[str, Any]) -> dict[str, Any]:
        """Return the transformer options of the evaluation: those of the host."""
        return transformer

    def hooks(self, x: Tensor) -> Iterator[Any]:
        """Hook the network and the modules whose attention is read, for an evaluation at x."""
        yield from self._watching.hooks()

    def activation(self, module: nn.Module, output: Any) -> Tensor:
        """The activation (B, C, h, w), or (B, C, T, h, w), in what a block returned."""
        laid = self._watching.now
        tokens = laid.stream(output).flatten(1, -2)[:, laid.in_stream(output)]
        return tokens.movedim(1, 2).unflatten(2, laid.size)

    def close(self) -> None:
        """Read nothing until the network runs again."""
        self._watching.close()


def _read(captured: Captured, name: str, call: Call, laid: Laid) -> Tensor:
    """Keep the maps of a layer."""
    rows = captured.rows
    q, k, mask = call.queries(rows), call.keys(rows), call.mask_of(rows)
    out = call()
    image, text = laid.image(q.shape[2]), laid.text(k.shape[2])
    if mask is not None and mask.shape[-2] > 1:
        mask = mask[..., image, :]
    if name in captured.positions:
        maps = (q[:, :, image], k, mask, call.scale)
        captured.keep_attention(name, laid.size, *maps, text=text)
    if laid.tokens.joint:
        outputs = call.outputs(out, rows)
        captured.keep_outputs(name, laid.size, outputs[:, :, image], outputs[:, :, text:])
    return out
