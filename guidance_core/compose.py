"""Stack rules around a denoiser, for one run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from .batch_video import repeated, with_batch_as_video
from .notes import Notes
from .pacing import paced
from .requirements import name_of_energy, reached_at, rebuilt, requirements_of
from .run import Run
from .schedules import EveryNth, PercentPoints, PercentThresholds, PercentWindow
from .steering import has_work
from .trace import Record
from .types import Denoiser, Estimate, Rule

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
    run = replace(run, model=denoise)
    for rule in rules:
        denoise = _steered(_private(rule), denoise, run)

    def guided_denoise(x: Tensor, sigma: Tensor) -> Estimate:
        with torch.no_grad():
            return _settled(denoise(x.detach(), sigma), run).detached()

    return guided_denoise


def _settled(estimate: Estimate, run: Run) -> Estimate:
    """The estimate with which the sampler's step adds what belongs behind it."""
    if estimate.behind is None:
        return estimate
    step = estimate.behind / run.carried(float(estimate.sigma[0]))
    return replace(estimate.moved(step), behind=None)


def _steered(rule: Rule, denoise: Denoiser, run: Run) -> Denoiser:
    """The rule around a denoiser that tells alpha, its records filled with its energy's notes."""
    memory: dict[Any, Any] = {}
    as_video = requirements_of([rule]).batch_is_video
    acting = with_batch_as_video(paced(rule)) if as_video else paced(rule)

    def steered(x: Tensor, sigma: Tensor) -> Estimate:
        notes = Notes(memory=memory)
        noting = lambda x, sigma: replace(
            denoise(x, sigma), notes=notes, alpha=run.alpha(sigma), x=x
        )
        count = len(x) if as_video else 1
        record = lambda entry: run.record(repeated(_with_notes(entry, notes, rule), count))
        return acting(noting, x, sigma, replace(run, record=record))

    return steered


def _with_notes(record: Record, notes: Notes, rule: Any) -> Record:
    """The record with terms and counts; an energy that is no sum is its only term."""
    energy = getattr(rule, "energy", None)
    name = "" if energy is None else name_of_energy(energy)
    whole = {} if energy is None else {name: record.energy}
    # A mask for each sample evaluates row by row: such terms are of one row only.
    terms = {name: term for name, term in notes.terms.items() if term.shape == record.energy.shape}
    limit = getattr(rule, "stop", 0.0) or reached_at(energy, record.sigma)
    reached = {**notes.reached, **({} if limit is None else {name: limit})}
    return replace(
        record,
        terms=record.terms or terms or whole,
        silent=dict(notes.no_effect),
        reached=reached,
    )


def _private(rule: Rule) -> Rule:
    shared = {id(network): network for network in requirements_of([rule]).networks}
    return copy.deepcopy(rule, dict(shared))


def any_active(rules: Sequence[Rule], sigma: float) -> bool:
    """Whether any rule has work at this noise level; where none has, the host may run alone."""
    return any(has_work(rule, sigma) for rule in rules)


def with_noise_levels(
    thing: T, percent_to_sigma: Callable[[float], float], sigmas: Sequence[float] = ()
) -> T:
    """The same rule, energy or schedule with all percentages inside turned into noise levels.

    Never looks into networks; returns `thing` itself where nothing changed.

    Arguments:
        thing: what holds schedules.
        percent_to_sigma: noise level of a model at a fraction of its schedule.
        sigmas: noise levels of the run, by which steps are counted (`EveryNth`).
    """

    def on_levels(part: Any) -> Any:
        if isinstance(part, EveryNth):
            return part.among(rebuilt(part.schedule, on_levels), sigmas)
        percents = isinstance(part, (PercentWindow, PercentPoints, PercentThresholds))
        return part.on(percent_to_sigma) if percents else part

    return rebuilt(thing, on_levels)
