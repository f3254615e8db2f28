"""The host's caches of steps, EasyCache and LazyCache: a guided step is evaluated in full.

They give a skipped step the last step's change of the latent again. That has no slope, and of the
two branches that guidance evaluates one after another they would skip the first alone.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from comfy.patcher_extension import WrappersMP

# Both keep their state under the first name; the second is the key of LazyCache's wrappers.
STATE, AROUND_STEPS = "easycache", "lazycache"


def switched_off(options: dict[str, Any]) -> dict[str, Any]:
    """Return the host's model options with a cache that takes its time to be over."""
    transformer = options.get("transformer_options", {})
    if STATE not in transformer:
        return options
    passing = copy.copy(transformer[STATE])
    passing.end_t = float("inf")
    return {**options, "transformer_options": {**transformer, STATE: passing}}


@contextlib.contextmanager
def inside_guidance(transformer: dict[str, Any]) -> Iterator[None]:
    """Let a cache around whole steps see those that guidance leaves alone, whatever their order.

    Arguments:
        transformer: the transformer options of a run.
    """
    before = transformer.get("wrappers", {})
    steps = dict(before.get(WrappersMP.PREDICT_NOISE, {}))
    if AROUND_STEPS not in steps:
        yield
        return
    steps[AROUND_STEPS] = steps.pop(AROUND_STEPS)
    transformer["wrappers"] = {**before, WrappersMP.PREDICT_NOISE: steps}
    try:
        yield
    finally:
        transformer["wrappers"] = before
