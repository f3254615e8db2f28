"""Diffusion posterior sampling: the step is taken, then the latent moves against the gradient.

References:
    Diffusion Posterior Sampling, Chung et al. 2023, arXiv:2209.14687, algorithm 1.
    FreeDoM, Yu et al. 2023, arXiv:2303.09833, algorithm 1; its time travel is `recurrence`.
    DSG, Yang et al. 2024, arXiv:2402.03201, algorithm 1: needs a sampler without noise of its own,
    whose step it turns into DDPM's, since a rule never sees the sampler's noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from ..gradients import LOOK_AT, through_model
from ..process import EULER_ONLY, ancestral_noise, eps_from_x0, is_euler_share, per_sample, radius
from ..run import Run
from ..shaping import as_squared_norm, fade, norm, rms, root_gradient, unit_rms
from ..steering import check_rule, strength_at, take_step, unit_step
from ..types import Denoiser, Energy, Estimate, Schedule

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
    spherical: x_next lies on the sphere of an ancestral step's noise, of RMS sigma_up about its
        mean, from its own noise at strength 0 to straight down the gradient at 1:
        x_next = mean + sigma_up * unit((1 - strength) n - strength * unit(gradient)). Where the
        strength or the gradient is 0 the sampler's step is left as it is.

    Arguments:
        energy: what is asked.
        strength: multiplier over the noise level; where it is 0 the model runs as it is.
        scale: relative, absolute, cfg or spherical.
        root: in the absolute scale, take the gradient of sqrt(energy), the residual's norm where
            the energy is its square, as DPS and FreeDoM do.
        stop: energy at which a sample counts as done; its step fades from 2 stop on. 0 never stops.
        look_at: what the energy is shown above CFG 1: positive, cfg or both, see `Estimate.seen`.
        depth: share of the model's blocks that the gradient goes through, from those nearest to the
            output on, in (0, 1], see `truncation`.

    Raises:
        ValueError: an unknown scale, or a negative stop.
    """

    energy: Energy
    strength: Schedule
    scale: str = "relative"
    root: bool = True
    stop: float = 0.0
    look_at: str = LOOK_AT
    depth: float = 1.0
    through_model: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rule(self, SCALES)

    @property
    def replaces_noise(self) -> bool:
        """Whether the step takes the place of the noise of the sampler's."""
        return self.scale == "spherical"

    @property
    def one_step(self) -> bool:
        """Whether the step is placed behind the sampler's step."""
        return self.scale in ("absolute", "spherical")

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One guided evaluation: x (B, C, *S), sigma (B,)."""
        strength = strength_at(self, sigma)
        if strength == 0:
            return denoise(x, sigma)
        estimate, energy, grad = through_model(
            self._followed, denoise, x, sigma, look_at=self.look_at, rule="Posterior"
        )
        slope = root_gradient(grad, energy) if self._rooted else grad
        size = strength * fade(energy, self.stop).to(sigma)
        if self.replaces_noise:
            delta = self._on_sphere(x, slope, size, estimate, run)
        else:
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
        size = radius(sigma, run.alpha(sigma)) * radius(following, run.alpha(following))
        return grad * per_sample(size / run.carried(level), grad)

    def _on_sphere(
        self, x: Tensor, grad: Tensor, size: Tensor, estimate: Estimate, run: Run
    ) -> Tensor:
        """Change of x0 that takes Euler's step to the sphere of an ancestral step's noise.

        Euler makes alpha_next x0 + sigma_next n of x = alpha x0 + sigma n; the ancestral step has
        sigma_down n and its new noise in place of sigma_next n.
        """
        sigma, level = estimate.sigma, float(estimate.sigma[0])
        share, lower = run.carried(level), run.next_sigma(level)
        if not is_euler_share(share, level, lower):
            raise RuntimeError(EULER_ONLY)
        following = sigma.new_full(sigma.shape, lower)
        down, up = ancestral_noise(sigma, following, run.alpha)
        old = eps_from_x0(estimate.x0, x, sigma, run.alpha(sigma))
        # A sample that is done, or without a slope, keeps the sampler's own step.
        pull = size * (rms(grad) > 0)
        noise, way = run.noise(x, level), per_sample(pull, grad)
        new = unit_rms((1 - way) * noise - way * unit_rms(grad))
        moved = per_sample(down - following, x) * old + per_sample(up, x) * new
        return torch.where(way > 0, moved / share, torch.zeros_like(x))
