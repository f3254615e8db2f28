"""Stack rules around a denoiser, for one run."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from .requirements import is_active, rebuilt, requirements_of
from .schedules import PercentPoints, PercentWindow
from .terms import noting, with_terms
from .types import Denoiser, Estimate, Record, Rule, Run

T = TypeVar("T")


def guided(rules: Sequence[Rule], denoise: Denoiser, run: Run) -> Denoiser:
    """A denoiser steered by rules, the first of them innermost.

    Each rule is copied, so that its state dies with the run; guide networks are shared. The model
    is evaluated once per call, whatever the rules (again for those that move x itself), and nothing
    returned requires grad.

    Arguments:
        rules: rules whose schedules know noise levels (`with_noise_levels`).
        denoise: model; must build a graph where gradients are enabled.
        run: facts of this run.
    """
    for rule in rules:
        denoise = _steered(_private(rule), denoise, run)

    def guided_denoise(x: Tensor, sigma: Tensor) -> Estimate:
        with torch.no_grad(), noting():
            return denoise(x.detach(), sigma).detached()

    return guided_denoise


def _steered(rule: Rule, denoise: Denoiser, run: Run) -> Denoiser:
    """The rule around a denoiser, its records told of each term and of what had nothing to say."""
    sink = with_terms(run.record, getattr(rule, "energy", None))

    def steered(x: Tensor, sigma: Tensor) -> Estimate:
        silent: Counter[str] = Counter()

        def record(entry: Record) -> None:
            sink(replace(entry, silent=dict(silent)))

        counting = lambda x, sigma: replace(denoise(x, sigma), silent=silent)
        return rule(counting, x, sigma, replace(run, record=record))

    return steered


def _private(rule: Rule) -> Rule:
    shared = {id(network): network for network in requirements_of([rule]).networks}
    return copy.deepcopy(rule, dict(shared))


def any_active(rules: Sequence[Rule], sigma: float) -> bool:
    """Whether any rule has work at this noise level.

    Where none has, a host may run its stock path. A rule without a strength always has work.
    """
    return any(_works(rule, sigma) for rule in rules)


def _works(rule: Rule, sigma: float) -> bool:
    strength = getattr(rule, "strength", None)
    if strength is not None and strength(sigma) == 0:
        return False
    return not hasattr(rule, "energy") or is_active(rule.energy, sigma)


def with_noise_levels(thing: T, percent_to_sigma: Callable[[float], float]) -> T:
    """The same rule, energy or schedule with all percentages inside turned into noise levels.

    Never looks into networks; returns `thing` itself where nothing changed.
    """

    def on_levels(part: Any) -> Any:
        percents = isinstance(part, (PercentWindow, PercentPoints))
        return part.on(percent_to_sigma) if percents else part

    return rebuilt(thing, on_levels)
