"""The branches of classifier-free guidance: which are negative, and whose slope they take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


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
