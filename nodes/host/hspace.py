"""Edit by directions in h-space in the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...guidance_core.networks.hspace import Direction, TrainedDirection
from ...guidance_core.rules.asymmetric import Asymmetric, Shift
from ...guidance_core.schedules import PercentWindow
from ...guidance_core.types import Rule
from . import guide
from .guidance import Guidance
from .middle import UNetMiddle
from .run import KEY


def edited(
    model: Any,
    direction: Direction | TrainedDirection,
    strength: float,
    edit_end: float,
    boost_start: float,
    edit_start: float = 0.0,
) -> Any:
    """Return a MODEL that is edited; itself where there is nothing to do.

    Several edits of one model are summed, and run the network as often as one.

    Arguments:
        model: MODEL of a U-Net, guided or not.
        direction: what is added in its middle.
        strength: factor of it; 0 edits nothing.
        edit_end: until where, in [0, 1]; 0 is never.
        boost_start: from where noise is put back into each step, in [0, 1]; 1 is never.
        edit_start: from where the direction is added, in [0, 1).

    Raises:
        ValueError: another kind of network, a direction of another model, or an empty window.
    """
    middle = UNetMiddle(model.get_model_object("diffusion_model"))
    if direction.site != middle.site:
        raise ValueError(
            f"the direction belongs to another model: it was found in {direction.site}, this model "
            f"is {middle.site}: use the model that it was found with, or find one with this model"
        )
    shifts: tuple[Shift, ...] = ()
    if strength and edit_end:
        shifts = (Shift(direction, strength, PercentWindow(edit_start, edit_end)),)
    boost = PercentWindow(boost_start, 1.0) if boost_start < 1 else None
    edit = Asymmetric(shifts, middle, boost)
    if not edit.shifts and edit.boost is None:
        return model
    clone = model.clone()
    there = clone.get_attachment(KEY) or Guidance(())
    guide.attach(clone, replace(there, rules=_with_edit(there.rules, edit)))
    return clone


def _with_edit(rules: Sequence[Rule], edit: Asymmetric) -> tuple[Rule, ...]:
    """The rules with one edit more.

    Edits are innermost: the rules around them see the edited estimate, and the model runs twice,
    not they.
    """
    before = [rule for rule in rules if isinstance(rule, Asymmetric)]
    others = tuple(rule for rule in rules if not isinstance(rule, Asymmetric))
    return _joined(edit, *before), *others


def _joined(edit: Asymmetric, before: Asymmetric | None = None) -> Asymmetric:
    """Both edits as one, with the boost that begins first."""
    if before is None:
        return edit
    boosts = [one.boost for one in (edit, before) if isinstance(one.boost, PercentWindow)]
    first = min(boosts, key=lambda window: window.start_percent, default=None)
    return replace(edit, shifts=before.shifts + edit.shifts, boost=first)
