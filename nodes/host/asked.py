"""Another prompt beside those of a run, which takes the place of the positive one for a while."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import comfy.sampler_helpers
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from .run import KEY

ASKED, CONTEXT = "asked", "c_crossattn"


class Asked:
    """Another prompt beside those of a run, which takes the place of the positive one inside."""

    def __init__(self) -> None:
        self._guider: Any = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Asked:
        """The prompt itself: runs copy their rules."""
        return self

    def beside(self, model: Any, conditioning: Any) -> Any:
        """Return a clone of a MODEL whose runs have this prompt beside theirs."""

        def wrapper(executor: Any, *args: Any, **kwargs: Any) -> Any:
            self._guider = guider = executor.class_obj
            prompt = comfy.sampler_helpers.convert_cond(conditioning)
            guider.conds = {**guider.conds, ASKED: prompt}
            return executor(*args, **kwargs)

        clone = model.clone()
        clone.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, f"{KEY}_{ASKED}", wrapper)
        return clone

    @contextlib.contextmanager
    def __call__(self, states: Tensor | None = None) -> Iterator[None]:
        """Inside, evaluations see this prompt; with other states (B, N, D) where they are given.

        Raises:
            ValueError: the model sees something else than the states of the text.
        """
        conds = self._guider.conds
        asked = conds[ASKED]
        if states is not None:
            asked = [_with_states(part, states) for part in asked]
        self._guider.conds = {**conds, "positive": asked}
        try:
            yield
        finally:
            self._guider.conds = conds


def _with_states(cond: dict[str, Any], states: Tensor) -> dict[str, Any]:
    """A cond whose text has other states."""
    given, seen = cond["cross_attn"], cond["model_conds"].get(CONTEXT)
    if seen is None or seen.cond.shape[1:] != given.shape[1:]:
        raise ValueError(
            "this model makes something of the prompt's states before it sees them, so that they "
            "cannot be found from there: use Prompt-to-Prompt or Flow Edit with the path alone"
        )
    part = copy.copy(seen)
    part.cond = states
    return {**cond, "model_conds": {**cond["model_conds"], CONTEXT: part}}
