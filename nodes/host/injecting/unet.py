"""What is taken from inside a U-Net while it sees one image, and put in while it sees another.

Queries and keys are exchanged where the layers that make them return, and an edit of
cross-attention is added to what its kernel gave: kernels, and whatever other packs have put in
their place, stay as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, UNetModel
from torch import Tensor, nn

from ..autograd.kernels import as_written, uncompiled
from ..reading.layouts import layout_of
from .putting import KEYS, OUT, QUERIES, VALUES, Putting, Taken
from .wanted import Wanted


def check_unet(network: nn.Module, what: str) -> None:
    """Refuse a network that is no U-Net with attention to a prompt.

    Raises:
        ValueError: another kind of network; the message names it.
    """
    if not isinstance(as_written(network), UNetModel) or not layout_of(network).attention:
        raise ValueError(
            f"{what} exchanges attention inside of U-Nets such as SD 1.x, 2.x and SDXL, got "
            f"{type(network).__name__}: use Keep Attention or Keep Features, which can guide it"
        )


def self_attending(network: nn.Module) -> tuple[str, ...]:
    """Names of the layers whose image attends to itself."""
    there = layout_of(network).attention.items()
    return tuple(name for name, block in there if not block.disable_self_attn)


def from_features(network: nn.Module) -> tuple[str, tuple[str, ...]]:
    """Plug-and-Play's layers: that of the features, and those of self-attention from there on.

    In Stable Diffusion 1 and 2 they are the published ones, output.4 and what follows; other U-Nets
    have theirs at the same place, the second block of the decoder that attends.

    Raises:
        ValueError: the decoder has no two such blocks.
    """
    attending = [name for name in self_attending(network) if name.startswith("output")]
    order = list(dict.fromkeys(name.rpartition(".")[0] for name in attending))
    if len(order) < 2:
        raise ValueError(
            "expected a U-Net whose decoder attends in two blocks or more, got "
            f"{len(order)}: name the layer of the features"
        )
    return order[1], tuple(name for name in attending if not name.startswith(f"{order[0]}."))


def residual(block: nn.Sequential) -> nn.Module:
    """The last convolution of a block's residual branch, whose output is the block's features.

    Raises:
        ValueError: the block has none.
    """
    for part in block:
        if isinstance(part, ResBlock):
            last: nn.Module = part.out_layers[-1]
            return last
    raise ValueError("expected a block with a residual branch, got one without: name another layer")


@dataclass(eq=False)
class UNetExchange:
    """Takes from one evaluation of a U-Net, and puts into others.

    Arguments:
        attention: blocks by name.
        features: last convolutions of residual branches, by name of their block.
    """

    attention: dict[str, Any]
    features: dict[str, nn.Module]

    @property
    def itself(self) -> dict[str, Any]:
        """Blocks whose image attends to itself, by name."""
        return self.attention

    @contextlib.contextmanager
    def taking(self, wanted: Wanted) -> Iterator[Taken]:
        """Take what is wanted from the evaluation inside."""
        taken: Taken = {}

        def take(key: tuple[str, str, str], module: nn.Module, args: Any, out: Tensor) -> None:
            # What follows the first of a block is another pack's own.
            taken.setdefault(key, out.detach())

        with contextlib.ExitStack() as stack:
            stack.enter_context(uncompiled())
            for key, module in self._exchanged(wanted):
                stack.callback(module.register_forward_hook(partial(take, key)).remove)
            yield taken

    def _exchanged(self, wanted: Wanted) -> Iterator[tuple[tuple[str, str, str], nn.Module]]:
        for part, names, layers in (
            ("attn1", wanted.own, (QUERIES, KEYS)),
            ("attn1", wanted.shared, (KEYS, VALUES)),
            ("attn2", {*wanted.cross, *wanted.seen}, (QUERIES, KEYS)),
        ):
            for name in names:
                for layer in layers:
                    yield (part, name, layer), getattr(getattr(self.attention[name], part), layer)
        for name in wanted.features:
            yield ("residual", name, OUT), self.features[name]

    @contextlib.contextmanager
    def putting(self, network: nn.Module, wanted: Wanted, putting: Putting) -> Iterator[None]:
        """Put in what was taken, in each evaluation inside."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(uncompiled())
            for handle in self._handles(network, wanted, putting):
                stack.callback(handle.remove)
            yield

    def _handles(self, network: nn.Module, wanted: Wanted, putting: Putting) -> Iterator[Any]:
        yield network.register_forward_pre_hook(putting.begin, with_kwargs=True)
        for name in {*wanted.cross, *wanted.seen}:
            block = self.attention[name]
            yield block.register_forward_pre_hook(partial(putting.enter, name), with_kwargs=True)
            for layer in (QUERIES, KEYS, VALUES):
                hook = partial(putting.note, name, layer)
                yield getattr(block.attn2, layer).register_forward_hook(hook)
            hook = partial(putting.edit, name, block.attn2.heads, name in wanted.cross)
            yield block.attn2.to_out.register_forward_pre_hook(hook)
        for key, module in self._exchanged(replace(wanted, cross=(), seen=())):
            yield module.register_forward_hook(partial(putting.exchange, key))
