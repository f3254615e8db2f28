"""Diffusion posterior sampling: the step is taken, then the latent moves against the gradient.

References:
    Diffusion Posterior Sampling, Chung et al. 2023, arXiv:2209.14687, algorithm 1.
    FreeDoM, Yu et al. 2023, arXiv:2303.09833, algorithm 1; its time travel is `recurrence`.
    DSG, Yang et al. 2024, arXiv:2402.03201, algorithm 1. Deviates: a rule never sees the sampler's
    noise, so the spherical step is added to it instead of taking its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..gradients import through_model
from ..process import ancestral_noise, per_sample
from ..requirements import is_active
from ..shaping import cfg_push, fade, norm, rms, root_gradient, unit_rms, unit_size
from ..types import Denoiser, Energy, Estimate, Record, Run, Schedule

SCALES = ("relative", "absolute", "cfg", "spherical")


@dataclass(frozen=True)
class Posterior:
    """The next latent moves against the gradient of the energy with respect to the noisy latent.

    The move is expressed as a change of x0, which a step carries on. Where it is sized by the step
    (absolute, spherical) that needs a sampler of one evaluation a step; sized by the noise level
    (relative, cfg) it is smooth in sigma, suits every sampler, and equals Forward's.

    relative: RMS(delta) = strength * posterior standard deviation of x0.
    cfg: RMS(delta) = strength * RMS(x0 - uncond). FreeDoM's 0.2 in 100 steps is about 6 here.
    absolute: x_next -= strength * r * r_next * gradient, with r^2 = alpha^2 + sigma^2: the paper's
        z_next -= strength * dE/dz for latents z = x / r of unit variance.
    spherical: RMS(change of x_next) = strength * standard deviation of an ancestral step's noise.

    Arguments:
        energy: what is asked.
        strength: multiplier over the noise level; where it is 0 the model runs as it is.
        scale: relative, absolute, cfg or spherical.
        root: in the absolute scale, take the gradient of sqrt(energy), the residual's norm where
            the energy is its square, as DPS and FreeDoM do.
        stop: energy at which a sample counts as done; its push fades from 2 stop on. 0 never stops.

    Raises:
        ValueError: an unknown scale, or a negative stop.
    """

    energy: Energy
    strength: Schedule
    scale: str = "relative"
    root: bool = True
    stop: float = 0.0
    through_model: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {self.scale!r}")
        if not self.stop >= 0:
            raise ValueError(f"stop must be >= 0, got {self.stop}")

    @property
    def one_step(self) -> bool:
        """Whether the push is placed behind the sampler's step."""
        return self.scale in ("absolute", "spherical")

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One guided evaluation: x (B, C, *S), sigma (B,)."""
        level = float(sigma[0])
        strength = self.strength(level)
        if strength == 0 or not is_active(self.energy, level):
            return denoise(x, sigma)
        estimate, energy, grad = through_model(self.energy, denoise, x, sigma, rule="Posterior")
        slope = root_gradient(grad, energy) if self.root and self.scale == "absolute" else grad
        size = strength * fade(energy, self.stop).to(sigma)
        delta = -self._scaled(slope, estimate, run) * per_sample(size, grad)
        run.record(Record("Posterior", level, energy, norm(grad), rms(delta), cfg_push(estimate)))
        return estimate.moved(delta)

    def _scaled(self, grad: Tensor, estimate: Estimate, run: Run) -> Tensor:
        sigma = estimate.sigma
        if not self.one_step:
            size = unit_size(self.scale, estimate, run.alpha(sigma), "Posterior")
            return unit_rms(grad) * per_sample(size, grad)
        level = float(sigma[0])
        following = sigma.new_full(sigma.shape, run.next_sigma(level))
        if self.scale == "spherical":
            size = ancestral_noise(sigma, following, run.alpha)
            return unit_rms(grad) * per_sample(size / run.carried(level), grad)
        size = _radius(sigma, run) * _radius(following, run)
        return grad * per_sample(size / run.carried(level), grad)


def _radius(sigma: Tensor, run: Run) -> Tensor:
    """Root mean square of x for latents of unit variance."""
    return (run.alpha(sigma).square() + sigma.square()).sqrt()
