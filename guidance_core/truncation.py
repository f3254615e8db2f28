"""Gradients through the last blocks of a network only.

A block that is left out adds a constant to what it is given: its output has the slope of the input
of the same shape, as the residual stream around it has. Where no input has its shape (a block of a
U-Net that takes a skip connection in) the output has no slope at all.

What is left of a gradient is measured in docs/cost.md.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten


class Call:
    """One call of a block, whose differentiable inputs can be put in anew.

    Arguments:
        forward: the block's own forward.
        args: its positional arguments.
        kwargs: its keyword arguments.
    """

    def __init__(
        self, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.forward = forward
        self.leaves, self.spec = tree_flatten((args, kwargs))
        tracked = [isinstance(t, Tensor) and t.requires_grad for t in self.leaves]
        self.places = [i for i, flag in enumerate(tracked) if flag]
        self.tensors = [self.leaves[i] for i in self.places]
        for i in self.places:
            self.leaves[i] = None

    def __call__(self, tensors: Iterable[Tensor]) -> tuple[Any, ...]:
        """The block's outputs, flat, with these in place of its differentiable inputs."""
        # Blocks may overwrite what they are given, so they are given copies.
        leaves = [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in self.leaves]
        for i, tensor in zip(self.places, tensors, strict=True):
            leaves[i] = tensor.clone()
        args, kwargs = tree_unflatten(leaves, self.spec)
        out, self.out_spec = tree_flatten(self.forward(*args, **kwargs))
        return tuple(out)

    def through(self, function: type[torch.autograd.Function]) -> Any:
        """What the block returns, computed by a function of the call and its inputs."""
        return tree_unflatten(function.apply(self, *self.tensors), self.out_spec)


class _PassedOn(torch.autograd.Function):
    """The block without a graph; backward hands each gradient to the input of its shape."""

    @staticmethod
    def forward(ctx: Any, call: Call, *tensors: Tensor) -> tuple[Any, ...]:
        outs = call(tensor.detach() for tensor in tensors)
        free = list(range(len(tensors)))
        ctx.count, ctx.sources = len(tensors), []
        for out in outs:
            shape = getattr(out, "shape", None)
            source = next((i for i in free if tensors[i].shape == shape), None)
            ctx.sources.append(source)
            if source is not None:
                free.remove(source)
        constant = zip(outs, ctx.sources, strict=True)
        ctx.mark_non_differentiable(
            *(out for out, source in constant if source is None and isinstance(out, Tensor))
        )
        return outs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        passed: list[Tensor | None] = [None] * ctx.count
        for grad, source in zip(grads, ctx.sources, strict=True):
            if source is not None:
                passed[source] = grad
        return None, *passed


def check_depth(depth: float) -> None:
    """Refuse a depth outside (0, 1] with a ValueError."""
    if not 0 < depth <= 1:
        raise ValueError(f"depth must be in (0, 1], got {depth}: 1 is the whole model")


@contextlib.contextmanager
def truncated(blocks: Sequence[nn.Module], depth: float) -> Iterator[None]:
    """Let only some blocks carry a graph, while this lasts; the values stay what they are.

    Arguments:
        blocks: modules, none inside another, those nearest to the output first.
        depth: share of them that carries a graph, in (0, 1], at least one block.
    """
    left_out = blocks[max(1, math.ceil(depth * len(blocks))) :]
    patched = [block for block in left_out if "forward" not in vars(block)]
    try:
        for block in patched:
            vars(block)["forward"] = _passing_on(block.forward)
        yield
    finally:
        for block in patched:
            vars(block).pop("forward", None)


def _passing_on(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        call = Call(forward, args, kwargs)
        if not call.tensors:
            with torch.no_grad():
                return forward(*args, **kwargs)
        return call.through(_PassedOn)

    return run
