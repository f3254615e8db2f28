"""Weights that autograd may save, without copying them.

ComfyUI runs nodes under ``torch.inference_mode()``, so the weights that it loads are inference
tensors, and backward refuses to save those.  A normal tensor on the same storage is all that is
needed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .fetched import fetched_forward, place_of_forward


def normal(value: Any) -> Any:
    """Return value with every inference tensor in its dicts, lists and tuples cloned."""
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if type(value) is dict:
        return {key: normal(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(normal(item) for item in value)
    return value


def tracks_version(tensor: Tensor) -> bool:
    """Whether autograd can save it: inference tensors, and p.data set to one, have no version."""
    if tensor.is_inference():
        return False
    try:
        return tensor._version >= 0
    except RuntimeError:
        return False


def view(tensor: Tensor) -> Tensor:
    """Return a normal tensor that shares the storage of tensor and needs no gradient."""
    return tensor.detach() if tracks_version(tensor) else laid_on(tensor.untyped_storage(), tensor)


def laid_on(storage: torch.UntypedStorage, like: Tensor) -> Tensor:
    """Return a normal tensor on a storage, where and as another tensor lies on its own."""
    with torch.inference_mode(False), torch.no_grad():
        empty = torch.empty(0, dtype=like.dtype, device=like.device)
        return empty.set_(storage, like.storage_offset(), like.size(), like.stride())


def lendable(tensor: Tensor) -> Tensor:
    """Return tensor, or in place of an inference tensor a view of it, a clone if it has none."""
    if not tensor.is_inference():
        return tensor
    return view(tensor) if is_plain(tensor) else tensor.clone()


def is_plain(tensor: Tensor | None) -> bool:
    """Whether it is a resident, strided tensor, not a quantised or a meta one."""
    plain = type(tensor) in (Tensor, nn.Parameter, getattr(nn, "Buffer", nn.Parameter))
    return plain and not tensor.is_meta and tensor.layout == torch.strided


def _needs_view(tensor: Tensor | None) -> bool:
    return is_plain(tensor) and (tensor.requires_grad or not tracks_version(tensor))


class Loan:
    """Normal views of the weights of some modules, lent to them while ``with`` lasts.

    The views are made once and used again as long as the weight is the same tensor on the same
    memory.  Layers whose weight is cast, quantised, patched or fetched on the fly go through an
    autograd Function that saves no weight. What the host has replaced meanwhile is left as the host
    wants it.

    Arguments:
        roots: modules whose weights are lent.
    """

    def __init__(self, *roots: nn.Module) -> None:
        self.roots = roots
        self._views: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}

    def _view(self, table: dict[str, Tensor], name: str) -> Tensor:
        tensor = table[name]
        original, lent = self._views.get((id(table), name), (None, None))
        if original is not tensor or lent.data_ptr() != tensor.data_ptr():
            lent = view(tensor)
            self._views[(id(table), name)] = (tensor, lent)
        return lent

    @property
    def addresses(self) -> set[int]:
        """Memory addresses of the weights that were lent so far."""
        return {lent.data_ptr() for _, lent in self._views.values()}

    @contextlib.contextmanager
    def __call__(self) -> Iterator[Loan]:
        """Lend, and take everything back whatever happens."""
        swapped: list[tuple[dict[str, Any], str, Any, Any]] = []
        try:
            for module in (m for root in self.roots for m in root.modules()):
                swapped += self._lend(module)
            yield self
        finally:
            for table, name, original, lent in reversed(swapped):
                if table.get(name) is lent:
                    table[name] = original
                    if original is None:
                        del table[name]

    def _lend(self, module: nn.Module) -> Iterator[tuple[dict[str, Any], str, Any, Any]]:
        """Lend what a module needs: (table, name, original or None, what stands there now)."""
        place = place_of_forward(module)
        forward = None if place is None else fetched_forward(module, *place)
        if forward is not None:
            table, name = place
            original, table[name] = table.get(name), forward
            yield table, name, original, forward
            return
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                if _needs_view(tensor):
                    table[name] = lent = self._view(table, name)
                    yield table, name, tensor, lent
