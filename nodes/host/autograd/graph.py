"""Model evaluations that carry an autograd graph inside ComfyUI.

See docs/decisions/0001-autograd-seam.md for what stands in the way of one, and what is done about
it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator

import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from .guests import normal_on_use
from .kernels import torch_kernels, uncompiled
from .models import prepared
from .weights import Loan, is_plain, laid_on


def carries_graph(x: Tensor) -> bool:
    """Whether an evaluation at x is going to be differentiated."""
    return torch.is_grad_enabled() and not torch.is_inference_mode_enabled() and x.requires_grad


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
        uncompiled(),
        prepared(network),
        _kept(network, loan, hooked, guests),
        normal_on_use(needed=guests),
    ):
        yield
