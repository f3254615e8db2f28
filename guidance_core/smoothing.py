"""An energy averaged over noise around the clean estimate, for guide networks that are steep.

References:
    Loss-Guided Diffusion, Song et al. 2023, ICML, and TFG, Ye et al. 2024,
    arXiv:2409.15761.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .noise import seeded_noise
from .process import per_sample
from .types import Energy, Estimate


def smoothed(
    energy: Energy, estimate: Estimate, spread: Tensor, samples: int, *key: int | float
) -> Tensor:
    """-log mean_k exp(-energy(x0 + spread n_k)) with n_k standard normal, shape (B,).

    Every row sees the same draws, so that a sample alone equals the sample in a batch.

    Arguments:
        energy: an energy of x0 or of the picture, as a negative log-likelihood.
        estimate: where; captures do not move with x0 and are not there.
        spread: standard deviation of the noise, shape (B,).
        samples: how many draws, >= 1; each is one evaluation of the energy and its decoder.
        key: what the draws depend on.
    """
    values = []
    for draw in range(samples):
        noise = seeded_noise(estimate.x0[:1], *key, draw)
        values.append(energy(estimate.moved(per_sample(spread, noise) * noise)))
    return math.log(samples) - torch.logsumexp(-torch.stack(values), 0)
