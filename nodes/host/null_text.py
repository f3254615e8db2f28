"""Null-text optimisation in the host: a negative prompt with states of its own for each step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ...guidance_core.procedures.inversion import Path
from ...guidance_core.procedures.null_text import NullText
from . import guide
from .asked import Asked
from .invert import resampled
from .samplers import Plan

# Keys of a prompt that the host gives a part of the run or of the image.
PLACED = ("area", "mask", "start_percent", "timestep_start", "hooks")
# Above every noise level, as the host writes it.
FIRST = 999999999.9


def optimised(
    model: Any, positive: Any, negative: Any, path: Path, cfg: float, iterations: int
) -> tuple[Any, Tensor]:
    """Find the negative prompt by which CFG follows a path.

    Arguments:
        model: MODEL.
        positive: CONDITIONING that the path was made with.
        negative: CONDITIONING to start from, of one part.
        path: of Invert.
        cfg: scale of classifier-free guidance, not 1.
        iterations: steps of optimisation at each noise level.

    Returns:
        CONDITIONING of a part for each step, and how far each leads from the path, shape (N, B).

    Raises:
        ValueError: no path, cfg 1, a negative prompt of several parts, or a model that makes
            something of its states.
    """
    if path is None:
        raise ValueError("Null Text needs a path: connect that of Invert")
    states, rest = _only(negative)
    steps: list[tuple[Tensor, Tensor]] = []
    note = lambda states, apart: steps.append((states.cpu(), apart.cpu()))
    asked = Asked()
    with torch.inference_mode(False):
        rule = NullText(
            path, states.clone().float(), cfg, lambda states: asked(states), note, iterations
        )
    guided = guide.apply(asked.beside(model, negative), [rule])
    resampled(Plan.along(path, guided, positive, negative, 1.0), path)
    found, apart = zip(*steps, strict=True)
    return by_step(found, rest, path.sigmas), torch.stack(apart)


def by_step(states: Sequence[Tensor], rest: dict[str, Any], sigmas: Tensor) -> Any:
    """CONDITIONING whose states (B, N, D) are each active around one noise level of a run.

    Arguments:
        states: one for each step.
        rest: what else the prompt has.
        sigmas: noise levels, shape (N + 1,), falling.
    """
    middles = [(high + low) / 2 for high, low in pairwise(sigmas.tolist()[:-1])]
    edges = [FIRST, *middles, 0.0]
    return [
        [part, {**rest, "timestep_start": start, "timestep_end": end}]
        for part, (start, end) in zip(states, pairwise(edges), strict=True)
    ]


def _only(negative: Any) -> tuple[Tensor, dict[str, Any]]:
    if len(negative) != 1 or any(key in negative[0][1] for key in PLACED):
        raise ValueError(
            "expected a negative prompt of one part for the whole image and run, got one with "
            "parts, areas or time ranges: connect CLIP Text Encode itself"
        )
    states, rest = negative[0]
    return states, rest
