"""Kernels with a derivative, in place of those that the host chooses for speed."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules.attention import attention_pytorch
from torch import Tensor, nn

OVERRIDE = "optimized_attention_override"
# Under these names the host's modules, and those of packs, hold the kernel chosen at its start.
NAMES = ("optimized_attention", "optimized_attention_masked")

# The host adds ControlNet's output to skip connections in place: they must not be what the next
# block has saved for its backward pass.
AFTER_SKIP = "input_block_patch_after_skip"


def differentiable_attention(previous: Callable | None) -> Callable:
    """Return an attention override that computes with PyTorch's own, differentiable kernel.

    An override that another pack has set is called first, as the host would.  If its result has
    lost the gradient (some kernels have no backward), it is computed again with PyTorch's.
    """
    if previous is None:
        return lambda kernel, *args, **kwargs: attention_pytorch(*args, **kwargs)

    def attention(kernel: Callable, *args: Any, **kwargs: Any) -> Tensor:
        out = previous(attention_pytorch, *args, **kwargs)
        tracked = any(isinstance(a, Tensor) and a.requires_grad for a in args)
        return attention_pytorch(*args, **kwargs) if tracked and not out.requires_grad else out

    return attention


def torch_attention() -> contextlib.AbstractContextManager[None]:
    """Let every module that computes attention do so with PyTorch's kernel.

    SageAttention and its like have no backward pass.
    """
    return changed_attention(lambda kernel: attention_pytorch)


@contextlib.contextmanager
def changed_attention(change: Callable[[Callable], Callable]) -> Iterator[None]:
    """Let every module that computes attention do so with what `change` makes of its kernel.

    PixArt, HunyuanDiT, ACE-Step 1.5, ControlNets and others hand the host's kernel no options, so
    that no override reaches it.
    """
    held = [
        (names, name, names[name], change(names[name]))
        for names in _holders(len(sys.modules))
        for name in NAMES
        if callable(names.get(name))
    ]
    try:
        for names, name, _, changed in held:
            names[name] = changed
        yield
    finally:
        for names, name, kernel, changed in held:
            if names.get(name) is changed:
                names[name] = kernel


@functools.lru_cache(maxsize=1)
def _holders(loaded: int) -> list[dict[str, Any]]:
    """Global names of the modules that hold a kernel, among as many as are loaded.

    A module that waits for its first use is left to wait.
    """
    modules = [module for module in list(sys.modules.values()) if isinstance(module, ModuleType)]
    found = (ModuleType.__getattribute__(module, "__dict__") for module in modules)
    return [names for names in found if not names.keys().isdisjoint(NAMES)]


@contextlib.contextmanager
def torch_kernels() -> Iterator[None]:
    """Make the host choose kernels with a derivative, as its own trainer does."""
    # Nothing of the host's fused kernels is touched before a gradient is wanted.
    from .fused import give_derivatives

    give_derivatives()
    with torch_attention():
        if not hasattr(comfy.model_management, "in_training"):
            yield
            return
        before = comfy.model_management.in_training
        comfy.model_management.in_training = True
        try:
            yield
        finally:
            comfy.model_management.in_training = before


def uncompiled() -> contextlib.AbstractContextManager[Any]:
    """Run networks that torch.compile has changed as they are written.

    Their code was made for inference: what it does in place, and hooks that it does not call,
    would stand in the way. Where nothing was compiled, the compiler is not loaded.
    """
    if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):
        return torch.compiler.set_stance("force_eager")
    return contextlib.nullcontext()


def as_written(module: nn.Module) -> nn.Module:
    """The module that torch.compile was given, where this one is what it made of it."""
    original: nn.Module = getattr(module, "_orig_mod", module)
    return original


def graph_options(options: dict[str, Any], *, controlled: bool) -> dict[str, Any]:
    """The host's model options for branches that carry a graph; controlled ones: by ControlNets."""
    transformer = dict(options.get("transformer_options", {}))
    transformer[OVERRIDE] = differentiable_attention(transformer.get(OVERRIDE))
    if controlled:
        patches = transformer.get("patches", {})
        after = [*patches.get(AFTER_SKIP, ()), lambda h, extra: h.clone()]
        transformer["patches"] = {**patches, AFTER_SKIP: after}
    return {**options, "transformer_options": transformer}
