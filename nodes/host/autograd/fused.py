"""Derivatives for the fused kernels of comfy_kitchen, which come without one.

ComfyUI computes rotary embeddings, and norms that are scaled and shifted, in one kernel each.  Its
models avoid them while it trains, but not all do (Cosmos Predict2, Anima, JoyImage, MiniMax), and
versions before 0.14 have no such switch.  Each kernel has an eager twin in plain PyTorch: the
backward pass computes by that one.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._library.custom_ops import OPDEFS

ROTARY = ("apply_rope", "apply_rope1", "apply_rope_split_half", "apply_rope_split_half1")
NORMED = ("rms_rope", "rms_rope1", "rms_rope_split_half", "rms_rope_split_half1")
MODULATED = ("adaln", "rms_adaln")
TWINS = {**dict.fromkeys(ROTARY + NORMED, "rope"), **dict.fromkeys(MODULATED, "adaln")}


@functools.cache
def give_derivatives() -> None:
    """Register a formula for every fused kernel of this host that has none yet."""
    if "comfy_kitchen" not in sys.modules:
        return
    for name, module in TWINS.items():
        op = f"comfy_kitchen::{name}"
        # What another pack, or the kernel's own authors, have registered is left alone.
        if op in OPDEFS and OPDEFS[op]._backward_fn is None:
            twin = getattr(importlib.import_module(f"comfy_kitchen.backends.eager.{module}"), name)
            backward = functools.partial(_backward, twin)
            torch.library.register_autograd(op, backward, setup_context=_keep)


def _keep(ctx: Any, inputs: Sequence[Any], output: Any) -> None:
    """Save what a kernel was given; scales of norms lie in buffers that the host uses again."""
    kept = [value.clone() if _is_scale(value) else value for value in inputs]
    ctx.places = [i for i, value in enumerate(kept) if isinstance(value, Tensor)]
    ctx.others = [None if isinstance(value, Tensor) else value for value in kept]
    ctx.save_for_backward(*(kept[i] for i in ctx.places))


def _is_scale(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 1


def _backward(twin: Callable, ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    """Compute by the eager twin again, and differentiate that."""
    values = list(ctx.others)
    for place, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
        needed = ctx.needs_input_grad[place]
        values[place] = tensor.detach().requires_grad_() if needed else tensor
    with torch.enable_grad():
        outs = twin(*values)
    outs = outs if isinstance(outs, tuple) else (outs,)
    pairs = [(out, grad) for out, grad in zip(outs, grads, strict=True) if grad is not None]
    pairs = [(out, grad) for out, grad in pairs if out.requires_grad]
    wanted = [i for i in ctx.places if ctx.needs_input_grad[i]]
    results: list[Tensor | None] = [None] * len(values)
    found = torch.autograd.grad(
        *([out for out, _ in pairs], [values[i] for i in wanted], [grad for _, grad in pairs]),
        allow_unused=True,
    )
    for i, grad in zip(wanted, found, strict=True):
        results[i] = grad
    return tuple(results)
