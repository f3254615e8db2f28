"""The branches of classifier-free guidance (CFG): which are negative, and what each is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .autograd.graph import OVERRIDE, differentiable_attention

# The host adds ControlNet's output to skip connections in place: they must not be what the next
# block has saved for its backward pass.
AFTER_SKIP = "input_block_patch_after_skip"


def negative_among(conds: Sequence[Any], guider: Any) -> list[bool]:
    """Return which branches are negative; the last of two where the guider does not tell."""
    known = [cond for name, cond in guider.conds.items() if "negative" in name]
    flags = [any(cond is one for one in known) for cond in conds]
    return flags if any(flags) or len(conds) != 2 else [False, conds[1] is not None]


def first_of_each(
    outputs: list[Tensor], conds: list[Any], negative: list[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Return x0 of the first positive and the first negative branch; None where none is."""
    there = [i for i, cond in enumerate(conds) if cond is not None]
    positive = next((outputs[i] for i in there if not negative[i]), None)
    return positive, next((outputs[i] for i in there if negative[i]), None)


def with_borrowed_slopes(outputs: list[Tensor], negative: list[bool]) -> list[Tensor]:
    """Give negative branches the derivative of the first positive one, not its value.

    The derivative of CFG's result is then that of the positive branch, whatever its scale. With
    constants in their place it would be cfg times that.
    """
    source = next((x0 for x0, flag in zip(outputs, negative, strict=True) if not flag), None)
    if source is None:
        return outputs
    slope = source - source.detach()
    return [x0 + slope if flag else x0 for x0, flag in zip(outputs, negative, strict=True)]


def graph_options(options: dict[str, Any], *, controlled: bool) -> dict[str, Any]:
    """Return the host's options for branches that carry a graph.

    Arguments:
        options: model options; they are not changed.
        controlled: whether ControlNets act on these branches.
    """
    transformer = dict(options.get("transformer_options", {}))
    transformer[OVERRIDE] = differentiable_attention(transformer.get(OVERRIDE))
    if controlled:
        patches = transformer.get("patches", {})
        after = [*patches.get(AFTER_SKIP, ()), lambda h, extra: h.clone()]
        transformer["patches"] = {**patches, AFTER_SKIP: after}
    return {**options, "transformer_options": transformer}
