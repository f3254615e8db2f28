"""How the steps of a rule follow the signal of the run's noise levels.

References:
    TFG, Ye et al. 2024, arXiv:2409.15761: rho and mu "increase" with alpha_t.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

COURSES = ("constant", "increase", "decrease")


def course_factor(
    course: str, level: float, sigmas: Tensor, alpha: Callable[[Tensor], Tensor]
) -> float:
    """Factor at a noise level, with mean 1 over the run's levels; between them, the nearest's.

    With abar = alpha^2 / (alpha^2 + sigma^2): abar / abar_next (increase), or 1 minus that.

    Arguments:
        course: constant, increase or decrease.
        level: noise level.
        sigmas: noise levels of the run, shape (N,).
        alpha: signal scale at noise levels.
    """
    if course == "constant":
        return 1.0
    levels = torch.unique(sigmas.double()).flip(0)
    signal = alpha(levels).square() / (alpha(levels).square() + levels.square())
    ratio = signal[:-1] / signal[1:]
    values = ratio if course == "increase" else 1 - ratio
    nearest = int((levels[:-1] - level).abs().argmin())
    return float(values[nearest] / values.mean())
