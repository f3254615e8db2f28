"""Gradients of a likelihood that is averaged over what the clean sample may be.

The energy at the estimate, a negative log-likelihood of x0, stands for that of x only where x
leaves nothing open about x0. The likelihood of x is the average of exp(-energy) over x0 given x. It
is taken by draws; for a linear measurement with Gaussian noise see `inverse`.

References:
    Loss-Guided Diffusion for Plug-and-Play Controllable Generation, Song et al. 2023, ICML.
    Deviates: fewer draws where x0 is known better.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from .gradients import at_estimate, through_model
from .inverse import linear_measurement
from .process import per_sample
from .requirements import requirements_of, walk
from .run import Run
from .types import Denoiser, Energy, Estimate

MOST_DRAWS = 16  # where x says nothing of x0
TOGETHER = 4  # draws of a sample that is alone, evaluated as one batch


def check_calibrated(energy: Energy) -> None:
    """Refuse an energy that cannot be averaged over the clean sample with a ValueError."""
    needed = requirements_of([energy])
    if needed.not_of_estimate:
        raise ValueError(
            "scale 'calibrated' averages over clean images, but the energy reads "
            f"{needed.not_of_estimate}: use scale '{'relative' if needed.captures else 'absolute'}'"
        )
    inside = any(hasattr(part, "weighted_residual") for part in walk(energy))
    if inside and linear_measurement(energy) is None:
        raise ValueError(
            "scale 'calibrated' solves for a measurement that is asked alone, with a positive "
            "weight, but it is inside a sum, a schedule or a smoothing: give it a rule of its own"
        )


def averaged_gradient(
    energy: Energy,
    denoise: Denoiser,
    x: Tensor,
    sigma: Tensor,
    run: Run,
    *,
    look_at: str,
    rule: str,
) -> tuple[Estimate, Tensor, Tensor]:
    """As `through_model`, of -log E[exp(-energy(x0 + n))], n being what x leaves open about x0.

    The spread of n is sigma / sqrt(alpha^2 + sigma^2).

    Arguments:
        energy: a negative log-likelihood.
        denoise: model, or an inner rule around it.
        x: noisy latent, shape (B, C, *S).
        sigma: noise level, shape (B,).
        run: facts of this run.
        look_at: which estimate the energy is shown, see `Estimate.seen`.
        rule: name for error messages.
    """
    draws = draws_at(sigma, run.alpha(sigma))
    seen = _averaged(energy, draws, run, rule) if draws else energy
    return through_model(seen, denoise, x, sigma, look_at=look_at, rule=rule)


def draws_at(sigma: Tensor, alpha: Tensor) -> int:
    """How many draws a noise level (B,) is worth: in proportion to the variance of x0 given x."""
    first = float(sigma[0]) ** 2
    return round(MOST_DRAWS * first / (float(alpha[0]) ** 2 + first))


def _averaged(energy: Energy, draws: int, run: Run, rule: str) -> Energy:
    """The average, with a slope that is known: only one batch of draws has a graph at a time."""

    def average(estimate: Estimate) -> Tensor:
        values, slopes = _drawn(energy, estimate.detached(), draws, run, rule)
        share = torch.softmax(-values, 0).to(slopes)
        slope = (share.view(*share.shape, *[1] * (slopes.ndim - 2)) * slopes).sum(0)
        still = (slope * (estimate.x0 - estimate.x0.detach())).flatten(1).sum(1)  # 0
        return math.log(draws) - torch.logsumexp(-values, 0) + still

    average.__name__ = f"averaged {getattr(energy, '__name__', type(energy).__name__)}"
    return average


def _drawn(
    energy: Energy, estimate: Estimate, draws: int, run: Run, rule: str
) -> tuple[Tensor, Tensor]:
    """Energies (K, B) of draws around x0, and their slopes (K, B, C, *S) there."""
    count, values, slopes = len(estimate.x0), list[Tensor](), list[Tensor]()
    while len(values) < draws:
        # What belongs to a sample (a mask, what an energy remembers) fits its batch only.
        alone = count == 1 and not estimate.notes.memory
        numbers = range(len(values), min(len(values) + (TOGETHER if alone else 1), draws))
        value, slope = at_estimate(energy, _spread(estimate, numbers, run), rule=rule)
        estimate.notes.terms = {n: term[:count] for n, term in estimate.notes.terms.items()}
        values += value.split(count)
        slopes += slope.split(count)
    return torch.stack(values), torch.stack(slopes)


def _spread(estimate: Estimate, numbers: range, run: Run) -> Estimate:
    """Draws of the clean sample, (K B, C, *S), each sample's by its own noise."""

    def copies(part: Tensor) -> Tensor:
        return part.repeat(len(numbers), *[1] * (part.ndim - 1))

    level = float(estimate.sigma[0])
    noise = torch.cat([run.noise(estimate.x0, level, number) for number in numbers])
    alpha = None if estimate.alpha is None else copies(estimate.alpha)
    rows = replace(estimate.mapped(copies), sigma=copies(estimate.sigma), alpha=alpha)
    return rows.moved(per_sample(rows.sigma / rows.radius, noise) * noise)
