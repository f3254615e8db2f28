"""Model evaluations that carry an autograd graph inside ComfyUI.

See docs/decisions/0001-autograd-seam.md for what stands in the way of one, and what is done about
it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules.attention import attention_pytorch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from .guests import normal_on_use
from .weights import Loan, is_plain, laid_on

OVERRIDE = "optimized_attention_override"


def carries_graph(x: Tensor) -> bool:
    """Whether an evaluation at x is going to be differentiated."""
    return torch.is_grad_enabled() and not torch.is_inference_mode_enabled() and x.requires_grad


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


@contextlib.contextmanager
def torch_kernels() -> Iterator[None]:
    """Make the host choose kernels with a derivative, as its own trainer does."""
    if not hasattr(comfy.model_management, "in_training"):
        yield
        return
    before = comfy.model_management.in_training
    comfy.model_management.in_training = True
    try:
        yield
    finally:
        comfy.model_management.in_training = before


class _Copies:
    """Copies of saved activations: one for all tensors on a memory that nobody wrote to since.

    They lie in memory as the originals do, so that kernels give the same result to the last bit.

    Arguments:
        weights: memory addresses of weights, which are saved as they are.
    """

    def __init__(self, weights: set[int]) -> None:
        self.weights = weights
        self._known: dict[int, tuple[StorageWeakRef, int, torch.UntypedStorage]] = {}

    def __call__(self, t: Tensor) -> Tensor:
        if t.data_ptr() in self.weights:
            return t
        storage = t.untyped_storage() if is_plain(t) and not (t.is_conj() or t.is_neg()) else None
        # A small piece of a large memory, as of a file, is copied alone.
        if storage is None or storage.nbytes() > 4 * t.nbytes:
            return t.clone()
        known, version, copy = self._known.get(storage.data_ptr(), (None, None, None))
        if known is None or known.expired() or version != t._version:
            copy = storage.clone()
            self._known[storage.data_ptr()] = StorageWeakRef(storage), t._version, copy
        return laid_on(copy, t)


def _kept(
    network: nn.Module, loan: Loan, hooked: Collection[int], guests: bool
) -> contextlib.AbstractContextManager:
    """Save copies of what is overwritten before the backward pass.

    Weights that hooks change are, by the next prompt; activations are in Flux and by patches of
    other packs as FreeU, not in U-Nets of their own.
    """
    if isinstance(network, UNetModel) and not guests:
        if not hooked:
            return contextlib.nullcontext()
        keep = lambda t: t.clone() if t.data_ptr() in hooked else t
    else:
        keep = _Copies(loan.addresses.difference(hooked))
    return torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t)


@contextlib.contextmanager
def differentiable(
    network: nn.Module, loan: Loan, hooked: Collection[int] = frozenset(), *, guests: bool
) -> Iterator[None]:
    """What a forward pass of the network needs, to be differentiated afterwards.

    Arguments:
        network: the host's diffusion network.
        loan: of its weights.
        hooked: addresses of weights that the host may overwrite before the backward pass.
        guests: whether other packs take part in it.
    """
    with (
        loan(),
        torch_kernels(),
        _kept(network, loan, hooked, guests),
        normal_on_use(needed=guests),
    ):
        yield
