"""Optimal transport between two sets of points, blurred a little by entropy.

References:
    Sinkhorn Distances: Lightspeed Computation of Optimal Transport, Cuturi 2013, arXiv:1306.0895.
    Computational Optimal Transport, Peyré and Cuturi 2019, arXiv:1803.00567, sections 4.1 and 4.4
    (logarithms).
    Deviates: the blur is halved from the mean cost down, a number of rounds each, so that few
    rounds do at the last.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLUR = 0.005  # of the mean cost
ROUNDS = 20


def transport(
    cost: Tensor, one: Tensor, other: Tensor, blur: float = BLUR, rounds: int = ROUNDS
) -> Tensor:
    """How much of each first point goes to each second one, shape (N, M), at the least cost.

    The plan minimises sum(plan * cost) + e * sum(plan * (log plan - 1)) of those whose rows sum up
    to `one` and columns to `other`, with e = blur * mean(cost).

    Arguments:
        cost: of each pair, shape (N, M), >= 0.
        one: masses of the first points, shape (N,), positive, of sum 1.
        other: masses of the second points, shape (M,), positive, of sum 1.
        blur: entropy at the end, in units of the mean cost, in (0, 1).
        rounds: at each of the blurs.
    """
    scaled = cost / cost.mean().clamp_min(torch.finfo(cost.dtype).tiny)
    wanted = one.log(), other.log()
    first, second = torch.zeros_like(one), torch.zeros_like(other)
    width = 1.0
    while width > blur:
        width = max(width / 2, blur)
        for _ in range(rounds):
            first = width * (wanted[0] - ((second - scaled) / width).logsumexp(1))
            second = width * (wanted[1] - ((first[:, None] - scaled) / width).logsumexp(0))
    return ((first[:, None] + second - scaled) / width).exp()
