"""Diffusion posterior sampling: the step is taken, then the latent moves against the gradient.

References:
    Diffusion Posterior Sampling, Chung et al. 2023, arXiv:2209.14687, algorithm 1.
    FreeDoM, Yu et al. 2023, arXiv:2303.09833, algorithm 1; its time travel is `recurrence`.
    DSG, Yang et al. 2024, arXiv:2402.03201, algorithm 1. Deviates: a rule never sees the sampler's
    noise, so the spherical step is added to it instead of taking its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from ..gradients import through_model
from ..process import ancestral_noise, per_sample, radius
from ..shaping import as_squared_norm, fade, norm, root_gradient, unit_rms
from ..steering import check_rule, strength_at, take_step, unit_step
from ..types import Denoiser, Energy, Estimate, Run, Schedule

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
        z_next -= strength * dE/dz for latents z = x / r of unit variance. With `root` E is the
        published norm where the energy knows it, and so is its square, which is recorded.
    spherical: RMS(change of x_next) = strength * standard deviation of an ancestral step's noise.

    Arguments:
        energy: what is asked.
        strength: multiplier over the noise level; where it is 0 the model runs as it is.
        scale: relative, absolute, cfg or spherical.
        root: in the absolute scale, take the gradient of sqrt(energy), the residual's norm where
            the energy is its square, as DPS and FreeDoM do.
        stop: energy at which a sample counts as done; its step fades from 2 stop on. 0 never stops.

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
        check_rule(self, SCALES)

    @property
    def one_step(self) -> bool:
        """Whether the step is placed behind the sampler's step."""
        return self.scale in ("absolute", "spherical")

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One guided evaluation: x (B, C, *S), sigma (B,)."""
        strength = strength_at(self, sigma)
        if strength == 0:
            return denoise(x, sigma)
        estimate, energy, grad = through_model(self._followed, denoise, x, sigma, rule="Posterior")
        slope = root_gradient(grad, energy) if self._rooted else grad
        size = strength * fade(energy, self.stop).to(sigma)
        delta = -self._scaled(slope, estimate, run) * per_sample(size, grad)
        return take_step(self, estimate, delta, energy, norm(grad), run)

    @property
    def _rooted(self) -> bool:
        return self.root and self.scale == "absolute"

    @cached_property
    def _followed(self) -> Energy:
        """The energy, in the units of its published norm where the root of it is taken."""
        return as_squared_norm(self.energy) if self._rooted else self.energy

    def _scaled(self, grad: Tensor, estimate: Estimate, run: Run) -> Tensor:
        if not self.one_step:
            return unit_step(self, grad, estimate, run)
        sigma, level = estimate.sigma, float(estimate.sigma[0])
        following = sigma.new_full(sigma.shape, run.next_sigma(level))
        if self.scale == "spherical":
            size = ancestral_noise(sigma, following, run.alpha)
            return unit_rms(grad) * per_sample(size / run.carried(level), grad)
        size = radius(sigma, run.alpha(sigma)) * radius(following, run.alpha(following))
        return grad * per_sample(size / run.carried(level), grad)
