"""Blocks that save their input only, and compute the rest again in the backward pass.

torch.utils.checkpoint will not do: recomputing needs lent weights and cloned activations (see
docs/decisions/0001-autograd-seam.md) in the middle of the backward pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from comfy.ldm.modules.attention import BasicTransformerBlock
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, UNetModel
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from .kernels import as_written


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """Blocks of a diffusion network that are worth computing twice."""
    if isinstance(network, UNetModel):
        return [m for m in network.modules() if isinstance(m, (ResBlock, BasicTransformerBlock))]
    return list(_listed(network, inside=False))


def _listed(module: nn.Module, *, inside: bool) -> Iterator[nn.Module]:
    """Members of the outermost lists of a module; inside: it is such a list itself."""
    for child in map(as_written, module.children()):
        if inside and not isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from _listed(child, inside=isinstance(child, nn.ModuleList))


class _Call:
    """One call of a block, whose differentiable inputs can be put in anew.

    Arguments:
        forward: the block's own forward.
        args: its positional arguments.
        kwargs: its keyword arguments.
        context: entered around the second computation.
    """

    def __init__(self, forward: Callable, args: tuple, kwargs: dict, context: Callable) -> None:
        self.forward, self.context = forward, context
        self.leaves, self.spec = tree_flatten((args, kwargs))
        tracked = [isinstance(t, Tensor) and t.requires_grad for t in self.leaves]
        self.places = [i for i, flag in enumerate(tracked) if flag]
        self.tensors = [self.leaves[i] for i in self.places]
        for i in self.places:
            self.leaves[i] = None

    def __call__(self, tensors: Iterable[Tensor]) -> tuple[Any, ...]:
        # Blocks may overwrite what they are given, so they are given copies.
        leaves = [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in self.leaves]
        for i, tensor in zip(self.places, tensors, strict=True):
            leaves[i] = tensor.clone()
        args, kwargs = tree_unflatten(leaves, self.spec)
        out, self.out_spec = tree_flatten(self.forward(*args, **kwargs))
        return tuple(out)


class _Recomputed(torch.autograd.Function):
    """The block without a graph; backward runs it again with one."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor) -> tuple[Any, ...]:
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
        call = _Call(forward, args, kwargs, context)
        if not (torch.is_grad_enabled() and call.tensors):
            return forward(*args, **kwargs)
        return tree_unflatten(_Recomputed.apply(call, *call.tensors), call.out_spec)

    return run
