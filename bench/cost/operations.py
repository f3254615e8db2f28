"""Floating point operations of a piece of work, by the formulas of PyTorch's counter.

Matrix products, convolutions and attention are counted, forwards and backwards, as they run; what
works on each element is not. PyTorch's own mode follows modules with hooks besides, which refuse
gradients taken at a module's input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

ATEN = torch.ops.aten
# The kernels of CPUs, which the registry does not know, and how many shapes their formulas take.
CPU: dict[Any, tuple[Callable[..., int], int]] = {
    ATEN._scaled_dot_product_flash_attention_for_cpu: (sdpa_flop_count, 3),
    ATEN._scaled_dot_product_flash_attention_for_cpu_backward: (sdpa_backward_flop_count, 4),
}


class _Counter(TorchDispatchMode):
    """Adds up what every operation inside costs."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, packet = kwargs or {}, func._overloadpacket
        if func.namespace == "aten" and packet not in flop_registry and packet not in CPU:
            with self:  # what it is made of is counted
                out = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if out is NotImplemented else out
        out = func(*args, **kwargs)
        if packet in CPU:
            formula, shapes = CPU[packet]
            self.total += int(formula(*(part.shape for part in args[:shapes])))
        elif packet in flop_registry:
            self.total += int(flop_registry[packet](*args, **kwargs, out_val=out))
        return out


def counted(work: Callable[[], object]) -> int:
    """Operations of the work: a multiplication and an addition count as two."""
    with _Counter() as counter:
        work()
    return counter.total
