"""The middle of a U-Net: read, shifted, and evaluated again on an encoder that ran already.

Layers are told to give again what they gave, and what follows them runs as usual: kernels, patches
and wrappers of the host and of other packs stay where they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import Tensor, nn

from ...guidance_core.networks.hspace import Site
from .autograd.kernels import as_written, uncompiled

LAYER = "middle.0"


@dataclass(eq=False)
class Pass:
    """What one evaluation of a network was given, and what its blocks gave.

    Arguments:
        given: tensors that the network was given.
        rows: what the host calls the rows of its batch.
        outputs: output of each block of the encoder and of the middle, by its last layer.
    """

    given: tuple[Tensor, ...]
    rows: tuple[Any, ...]
    outputs: dict[nn.Module, Tensor] = field(default_factory=dict)

    def is_of(self, other: Pass) -> bool:
        """Whether another evaluation is given the same."""
        same = self.rows == other.rows and len(self.given) == len(other.given)
        return same and all(map(_equal, self.given, other.given))


class UNetMiddle:
    """The middle of a U-Net; of one instance, one evaluation runs at a time.

    Arguments:
        network: the host's diffusion model.

    Raises:
        ValueError: another kind of network, or a U-Net without a middle block.
    """

    def __init__(self, network: nn.Module) -> None:
        written = as_written(network)
        if not isinstance(written, UNetModel):
            raise ValueError(
                "h-space is the middle block of a U-Net such as SD 1.x, 2.x and SDXL; "
                f"{type(written).__name__} has no such block, because its blocks all have the same "
                "size: use Edit Direction, Keep Attention or Keep Features"
            )
        if written.middle_block is None:
            raise ValueError(
                "h-space is the middle block of a U-Net, and this one was distilled without it: "
                "use the model that it was made from"
            )
        self._network, self._unet = network, written
        self._blocks = (*written.input_blocks, written.middle_block)
        self._last = written.middle_block[-1]
        self._passes: list[Pass] = []
        self._again: Pass | None = None
        self._slope = True

    def __deepcopy__(self, memo: dict[int, Any]) -> UNetMiddle:
        """The middle itself: the network is not copied with what holds it."""
        return self

    @property
    def site(self) -> Site:
        """What tells this network's h from another's."""
        unet = self._unet
        widths = [part.out_channels for part in unet.middle_block if hasattr(part, "out_channels")]
        return Site(type(unet).__name__, LAYER, int(widths[-1]), len(unet.input_blocks))

    @contextlib.contextmanager
    def shared(self, *, slope: bool = True) -> Iterator[None]:
        """Evaluations inside run the encoder and the middle once for each latent and prompt.

        One with a graph runs all of it, unless its slope through the encoder is not asked for.
        """
        self._slope = slope
        with contextlib.ExitStack() as stack:
            stack.enter_context(uncompiled())
            stack.callback(self._end)
            begin = self._network.register_forward_pre_hook(self._begin, with_kwargs=True)
            stack.callback(begin.remove)
            for block in self._blocks:
                for layer in block:
                    stack.callback(_replaced(layer, self._layer(layer, layer is block[-1])))
            yield

    @contextlib.contextmanager
    def shifted(self, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """Evaluations inside add change(h) to h (B, C, h, w)."""

        def shift(module: nn.Module, args: Any, h: Tensor) -> Tensor:
            return h + change(h).to(h)

        with uncompiled(), _hooked(self._last, shift):
            yield

    @contextlib.contextmanager
    def read(self, sink: Callable[[float, Tensor], None]) -> Iterator[None]:
        """Evaluations inside hand noise level and h (B, C, h, w) of the positive prompt to a sink.

        Of a prompt of several parts it is that of the first.
        """
        seen: dict[str, Any] = {}

        def begin(network: nn.Module, args: tuple, kwargs: dict) -> None:
            seen.update(kwargs["transformer_options"])

        def hand(module: nn.Module, args: Any, h: Tensor) -> None:
            parts = h.detach().chunk(len(seen["cond_or_uncond"]))
            positive = [
                part for part, kind in zip(parts, seen["cond_or_uncond"], strict=True) if kind == 0
            ]
            if positive:
                sink(float(seen["sigmas"].flatten()[0]), positive[0])

        begun = self._network.register_forward_pre_hook(begin, with_kwargs=True)
        try:
            with uncompiled(), _hooked(self._last, hand):
                yield
        finally:
            begun.remove()

    def _end(self) -> None:
        self._passes, self._again = [], None

    def _begin(self, network: nn.Module, args: tuple, kwargs: dict) -> None:
        """An evaluation begins: find one that was given the same."""
        given = [part for part in (*args, *kwargs.values()) if isinstance(part, Tensor)]
        options = kwargs.get("transformer_options", {})
        rows = (*options.get("cond_or_uncond", ()), *options.get("uuids", ()))
        self._now, self._again = Pass(tuple(part.detach() for part in given), rows), None
        graph = torch.is_grad_enabled() and any(part.requires_grad for part in given)
        if not (graph and self._slope):
            whole = (one for one in self._passes if len(one.outputs) == len(self._blocks))
            self._again = next((one for one in whole if one.is_of(self._now)), None)
        if self._again is None:
            self._passes.append(self._now)

    def _layer(self, layer: nn.Module, last: bool) -> Callable[..., Tensor]:
        """What stands in for a layer: itself, or what it gave before."""
        own = layer.forward

        def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if self._again is not None:
                return self._again.outputs[layer] if last else x
            out: Tensor = own(x, *args, **kwargs)
            if last:
                self._now.outputs[layer] = out.detach()
            return out

        return forward


def _equal(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.shape == other.shape and bool((one == other).all()))


def _replaced(layer: nn.Module, forward: Callable) -> Callable[[], None]:
    """Give a layer another forward; returns what takes it back."""
    before = layer.__dict__.get("forward")
    layer.__dict__["forward"] = forward
    if before is None:
        return partial(layer.__dict__.pop, "forward")
    return partial(layer.__dict__.__setitem__, "forward", before)


@contextlib.contextmanager
def _hooked(layer: nn.Module, hook: Callable) -> Iterator[None]:
    handle = layer.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
