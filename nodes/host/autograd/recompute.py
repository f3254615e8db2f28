"""Blocks that save their input only, and compute the rest again in the backward pass.

torch.utils.checkpoint will not do: recomputing needs lent weights and cloned activations (see
docs/decisions/0001-autograd-seam.md) in the middle of the backward pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import Any

import torch
from comfy.ldm.modules.attention import BasicTransformerBlock, SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, UNetModel
from torch import Tensor, nn

from ....guidance_core.truncation import Call
from .kernels import as_written


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """Blocks of a diffusion network that are worth computing twice."""
    if isinstance(network, UNetModel):
        return [m for m in network.modules() if isinstance(m, (ResBlock, BasicTransformerBlock))]
    return list(_listed(network, inside=False))


def nearest_output(network: nn.Module) -> list[nn.Module]:
    """Blocks of a diffusion network, those first whose output the network's own is nearest to.

    In a U-Net the skip connections count: its first block is as near as its last.
    """
    if not isinstance(network, UNetModel):
        return blocks_of(network)[::-1]
    ends = zip_longest(reversed(network.output_blocks), network.input_blocks)
    levels = [level for pair in ends for level in pair if level is not None]
    inside = [block for level in [*levels, network.middle_block] for block in level]
    return [block for block in inside if isinstance(block, (ResBlock, SpatialTransformer))]


def _listed(module: nn.Module, *, inside: bool) -> Iterator[nn.Module]:
    """Members of the outermost lists of a module; inside: it is such a list itself."""
    for child in map(as_written, module.children()):
        if inside and not isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from _listed(child, inside=isinstance(child, nn.ModuleList))


class _Repeated(Call):
    """A call of a block that is made a second time inside a context."""

    def __init__(self, forward: Callable, args: tuple, kwargs: dict, context: Callable) -> None:
        super().__init__(forward, args, kwargs)
        self.context = context


class _Recomputed(torch.autograd.Function):
    """The block without a graph; backward runs it again with one."""

    @staticmethod
    def forward(ctx: Any, call: _Repeated, *tensors: Tensor) -> tuple[Any, ...]:
        ctx.call = call
        ctx.save_for_backward(*tensors)
        return call(tensor.detach() for tensor in tensors)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        leaves = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
        with torch.enable_grad(), ctx.call.context():
            outs = ctx.call(leaves)
        pairs = [(out, grad) for out, grad in zip(outs, grads, strict=True) if grad is not None]
        pairs = [(out, grad) for out, grad in pairs if out.requires_grad]
        outs, seeds = zip(*pairs, strict=True)
        return None, *torch.autograd.grad(outs, leaves, seeds, allow_unused=True)


@contextlib.contextmanager
def recomputed(blocks: Iterable[nn.Module], context: Callable) -> Iterator[None]:
    """Let blocks save their input only, while this lasts.

    Arguments:
        blocks: modules, none inside another.
        context: makes the context manager in which a block can be differentiated.
    """
    patched = [block for block in blocks if "forward" not in vars(block)]
    try:
        for block in patched:
            vars(block)["forward"] = _recomputing(block.forward, context)
        yield
    finally:
        for block in patched:
            vars(block).pop("forward", None)


def _recomputing(forward: Callable, context: Callable) -> Callable:
    def run(*args: Any, **kwargs: Any) -> Any:
        call = _Repeated(forward, args, kwargs, context)
        if not (torch.is_grad_enabled() and call.tensors):
            return forward(*args, **kwargs)
        return call.through(_Recomputed)

    return run
