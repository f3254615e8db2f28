"""Weights and blocks of one run's networks, made fit for a backward pass."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn

from ....guidance_core.truncation import truncated
from . import memory
from .graph import differentiable
from .hooked import LATE, addresses_of, hooked_keys, is_read_late
from .kernels import OVERRIDE, as_written
from .recompute import blocks_of, nearest_output, recomputed
from .weights import Loan, normal


class Lender:
    """Lends networks weights that autograd may save, and remembers what it has prepared."""

    def __init__(self) -> None:
        self._loans: dict[tuple[int, ...], Loan] = {}
        self._recomputed: dict[torch.Size, list[nn.Module]] = {}
        # Evaluations whose backward pass reads weights anew: patcher and hooks.
        self._late: list[tuple[Any, Any]] = []

    def loan(self, *roots: nn.Module) -> Loan:
        """Return the loan of some modules' weights, the same one each time."""
        return self._loans.setdefault(tuple(map(id, roots)), Loan(*roots))

    def check_hooks(self) -> None:
        """Refuse a backward pass that would read weights of another prompt's hooks.

        Raises:
            RuntimeError: the host has overwritten weights that are read again.
        """
        late, self._late = self._late, []
        if any(patcher.current_hooks != hooks for patcher, hooks in late):
            raise RuntimeError(LATE)

    def forward(
        self,
        executor: Any,
        x: Tensor,
        args: tuple,
        kwargs: dict,
        whole: Collection[nn.Module],
        *,
        depth: float = 1.0,
        guests: bool,
    ) -> Tensor:
        """Run the host's model at x so that its result can be differentiated.

        Arguments:
            executor: calls the model.
            x: shape (B, C, *S), requires grad.
            args: further arguments of the model.
            kwargs: further arguments of the model.
            whole: modules that must keep their graph, however short memory is.
            depth: share of the network's blocks that carries a graph, beside those of `whole`.
            guests: whether other packs take part in the evaluation.
        """
        model = executor.class_obj
        args, kwargs = _normal_but_options(args, kwargs)
        network, loan = as_written(model.diffusion_model), self.loan(model)
        keys = hooked_keys(model)
        hooked = addresses_of(model, keys)
        context: Callable = lambda: differentiable(network, loan, hooked, guests=guests)
        kept = set(map(as_written, whole))
        twice = [b for b in self._recomputed_blocks(model, x) if kept.isdisjoint(b.modules())]
        if keys and (twice or is_read_late(model, keys)):
            self._late.append((model.current_patcher, model.current_patcher.current_hooks))
        near = [b for b in nearest_output(network) if kept.isdisjoint(b.modules())]
        with context(), truncated(near, depth), recomputed(twice, context):
            return executor(x, *args, **kwargs)

    def _recomputed_blocks(self, model: Any, x: Tensor) -> list[nn.Module]:
        """Blocks to compute twice; decided at the first evaluation of each shape."""
        if x.shape not in self._recomputed:
            short = memory.is_short_of(memory.graph_bytes(model, x.shape), x.device)
            self._recomputed[x.shape] = (
                blocks_of(as_written(model.diffusion_model)) if short else []
            )
        return self._recomputed[x.shape]


def _normal_but_options(args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Arguments that autograd may save; options stay, for other packs keep state in them."""
    rest = (arg if isinstance(arg, dict) and OVERRIDE in arg else normal(arg) for arg in args)
    named = {
        name: arg if name == "transformer_options" else normal(arg) for name, arg in kwargs.items()
    }
    return tuple(rest), named
