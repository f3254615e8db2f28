"""The branches of classifier-free guidance: which are negative, and whose slope they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .reading.run_reader import Reader


@dataclass(frozen=True, eq=False)
class Branches:
    """Branches evaluated by one call of the host.

    Arguments:
        outputs: x0 of each branch.
        pair: the first positive and the first negative of them.
        reader: what has read the positive prompt, if anything.
        stock: whether the host's options came as they were given, and not changed by a pack.
    """

    outputs: list[Tensor]
    pair: tuple[Tensor | None, Tensor | None]
    reader: Reader | None
    stock: bool


def negative_among(conds: Sequence[Any], guider: Any) -> list[bool]:
    """Which branches are negative; the last of two where the guider does not tell."""
    known = [cond for name, cond in guider.conds.items() if "negative" in name]
    flags = [any(cond is one for one in known) for cond in conds]
    return flags if any(flags) or len(conds) != 2 else [False, conds[1] is not None]


def first_of_each(
    outputs: list[Tensor], conds: list[Any], negative: list[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """x0 of the first positive and the first negative branch; None where none is."""
    there = [i for i, cond in enumerate(conds) if cond is not None]
    positive = next((outputs[i] for i in there if not negative[i]), None)
    return positive, next((outputs[i] for i in there if negative[i]), None)


def with_borrowed_slopes(
    outputs: list[Tensor], conds: list[Any], negative: list[bool]
) -> list[Tensor]:
    """Give negative branches the derivative of the first positive one, not its value.

    The derivative of CFG's result is then that of the positive branch, whatever its scale. With
    constants in their place it would be cfg times that. A branch that has a derivative keeps it.
    """
    source = first_of_each(outputs, conds, negative)[0]
    if source is None or not source.requires_grad:
        return outputs
    slope = source - source.detach()
    borrows = [flag and not x0.requires_grad for x0, flag in zip(outputs, negative, strict=True)]
    return [x0 + slope if flag else x0 for x0, flag in zip(outputs, borrows, strict=True)]


def only_pair(calls: list[Branches]) -> tuple[Tensor | None, Tensor | None]:
    """Branches of a guider that uses none of the host's CFG; none where they are in pieces."""
    calls = [call for call in calls if call.stock] or calls
    return calls[0].pair if len(calls) == 1 else (None, None)


def reader_of(calls: list[Branches], positive: Tensor | None) -> Reader | None:
    """What has read the branch that CFG was given, or that the guider's own call evaluated."""
    calls = [call for call in calls if call.reader is not None]
    whole = [call for call in calls if any(x0 is positive for x0 in call.outputs)]
    calls = whole or [call for call in calls if call.stock] or calls
    return calls[-1].reader if calls else None
