"""Gradients taken anew only where the estimate has moved, each sample for itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from .process import posterior_std
from .requirements import walk
from .run import Run
from .schedules import WhenMoved
from .shaping import peak_rms
from .steering import needs_graph, strength_at
from .trace import Record
from .types import Denoiser, Estimate, Rule


@dataclass(eq=False)
class Paced:
    """A rule that rests while the estimate stays where it was at the last gradient.

    The model is evaluated, with a graph where the rule needs one, before it is known whether the
    estimate has moved: what a step at rest saves is the decoder, the guide network, and all
    backward passes. A sample that rests keeps the model's own estimate; whether it rests does not
    depend on the others of its batch, but only a step at which all of them rest is cheaper.

    Arguments:
        rule: what acts where samples have moved.
        fraction: of the posterior standard deviation of x0 (see `schedules.WhenMoved`).
    """

    rule: Any
    fraction: float
    _taken: Tensor | None = field(default=None, init=False)

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One guided evaluation: x (B, C, *S), sigma (B,)."""
        if strength_at(self.rule, sigma) == 0:
            return denoise(x, sigma)
        shared = x.requires_grad
        through = needs_graph(self.rule)
        tracked = x.detach().requires_grad_() if through and not shared else x
        with torch.set_grad_enabled(through or torch.is_grad_enabled()):
            start = denoise(tracked, sigma)
        due = self._due(start, run)
        rested = start if shared else start.detached()
        if not due.any():
            return rested
        known = lambda at, level: start if at is tracked else denoise(at, level)
        record = lambda entry: run.record(_of(entry, due))
        moved = self.rule(known, tracked, sigma, replace(run, record=record))
        moved = moved if shared else moved.detached()
        return moved if due.all() else _chosen(due, moved, rested)

    def _due(self, estimate: Estimate, run: Run) -> Tensor:
        """Which samples (B,) have moved since their last gradient; all are noted as taken there."""
        now = estimate.x0.detach()
        if self._taken is None or self._taken.shape != now.shape:
            self._taken = now
            return torch.ones(len(now), dtype=torch.bool, device=now.device)
        allowed = self.fraction * posterior_std(estimate.sigma, run.alpha(estimate.sigma))
        due = peak_rms(now - self._taken) > allowed
        self._taken = torch.where(_like(due, now), now, self._taken)
        return due


def paced(rule: Any) -> Rule:
    """The rule, paced where its strength asks for it."""
    inside = walk(getattr(rule, "strength", None))
    found = next((part for part in inside if isinstance(part, WhenMoved)), None)
    return rule if found is None else Paced(rule, found.fraction)


def _of(record: Record, due: Tensor) -> Record:
    """The record with no step of the samples that rest."""
    return replace(record, push=record.push * due.to(record.push), taken=due)


def _chosen(due: Tensor, moved: Estimate, rested: Estimate) -> Estimate:
    """The moved estimate in the rows that are due, the model's own in the others."""

    def chosen(new: Tensor | None, old: Tensor | None) -> Tensor | None:
        return new if new is None or old is None else torch.where(_like(due, new), new, old)

    x0 = torch.where(_like(due, moved.x0), moved.x0, rested.x0)
    cond, uncond = chosen(moved.cond, rested.cond), chosen(moved.uncond, rested.uncond)
    return replace(moved, x0=x0, cond=cond, uncond=uncond)


def _like(due: Tensor, values: Tensor) -> Tensor:
    """Shape (B,) as (B, 1, ..., 1)."""
    return due.view(-1, *[1] * (values.ndim - 1))
