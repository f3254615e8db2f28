"""What all rules do alike: check settings, leave the model alone without work, record a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .gradients import LOOKS
from .process import per_sample, posterior_std
from .requirements import is_active, requirements_of
from .run import Run
from .shaping import cfg_push, rms, unit_peak, unit_size
from .trace import Record
from .truncation import check_depth
from .types import Estimate


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a setting that is none of the choices with a ValueError."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got '{value}'")


def check_rule(rule: Any, scales: Sequence[str]) -> None:
    """Refuse a rule with a setting outside its range (scale, look_at, stop, depth): ValueError."""
    check_choice("scale", rule.scale, scales)
    check_choice("look_at", rule.look_at, LOOKS)
    if not rule.stop >= 0:
        raise ValueError(f"stop must be >= 0, got {rule.stop}")
    check_depth(getattr(rule, "depth", 1.0))


def has_work(rule: Any, sigma: float) -> bool:
    """Whether a rule has work at this noise level; one without a strength always has."""
    strength = getattr(rule, "strength", None)
    if strength is not None and strength(sigma) == 0:
        return False
    return not hasattr(rule, "energy") or is_active(rule.energy, sigma)


def needs_graph(rule: Any) -> bool:
    """Whether a rule needs a graph of the model; one that says nothing does.

    An energy of the noisy latent alone needs none, whatever the rule.
    """
    if not getattr(rule, "through_model", True):
        return False
    return not (hasattr(rule, "energy") and requirements_of([rule.energy]).noisy_only)


def takes_both(rule: Any) -> bool:
    """Whether a rule takes the slope of both branches of CFG.

    Rules at the estimate take none of the model's, and captures are of the positive branch.
    """
    if getattr(rule, "look_at", "") != "both" or not needs_graph(rule):
        return False
    return not requirements_of([rule.energy]).captures_only


def needs_both(rules: Sequence[Any], sigma: float) -> bool:
    """Whether a rule with work at this noise level takes the slope of both branches of CFG."""
    return any(has_work(rule, sigma) and takes_both(rule) for rule in rules)


def depth_of(rules: Sequence[Any], sigma: float) -> float:
    """Share of the model's blocks that carries a graph at this noise level, for a stack of rules.

    The rule that goes deepest counts; one that says nothing goes through the whole model.
    """
    through = [rule for rule in rules if needs_graph(rule)]
    depths = [getattr(rule, "depth", 1.0) for rule in through if has_work(rule, sigma)]
    return max(depths, default=1.0)


def strength_at(rule: Any, sigma: Tensor) -> float:
    """Strength of a rule at a noise level (B,); 0 where the model should run as it is."""
    level = float(sigma[0])
    return float(rule.strength(level)) if has_work(rule, level) else 0.0


def unit_step(rule: Any, grad: Tensor, estimate: Estimate, run: Run) -> Tensor:
    """The step of strength 1 along a gradient, in the scales that ignore an energy's units."""
    alpha = run.alpha(estimate.sigma)
    size = unit_size(rule.scale, estimate, alpha, type(rule).__name__)
    return unit_peak(grad) * per_sample(size, grad)


def take_step(
    rule: Any, estimate: Estimate, delta: Tensor, energy: Tensor, grad_norm: Tensor, run: Run
) -> Estimate:
    """The estimate moved by delta, like x0, and a record of it.

    Arguments:
        rule: whose step it is.
        estimate: where the model is.
        delta: change of x0.
        energy: energy before the step, shape (B,).
        grad_norm: Euclidean norm of its gradient, shape (B,).
        run: receives the record.
    """
    record(rule, estimate, energy, grad_norm, (rms(delta), cfg_push(estimate)), run)
    return estimate.moved(delta)


def record(
    rule: Any,
    estimate: Estimate,
    energy: Tensor,
    grad_norm: Tensor,
    pushes: tuple[Tensor, Tensor | None],
    run: Run,
) -> None:
    """Record what a rule did; `pushes` are the RMS of its step and of that of CFG, (B,)."""
    name, level = type(rule).__name__, float(estimate.sigma[0])
    spread = float(posterior_std(estimate.sigma, run.alpha(estimate.sigma))[0])
    run.record(Record(name, level, energy, grad_norm, *pushes, spread=spread))
