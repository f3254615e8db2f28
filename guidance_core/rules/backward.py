"""Backward universal guidance: the clean estimate is optimised for the energy, without the model.

References:
    Universal Guidance for Diffusion Models, Bansal et al. 2023, arXiv:2302.07121, eq. (7)-(8).
    Deviates: no clamp of x0 to [-1, 1] (latents know no such bounds), and a bound on the total
    change in the relative scale. As there, the noise is recomputed from the moved x0.
    Minimization of unsmooth functionals, Polyak 1969: the step size called polyak here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..gradients import LOOK_AT, at_estimate
from ..process import per_sample, posterior_std
from ..run import Run
from ..shaping import clip_rms, fade, norm, peak_rms, rms
from ..steering import check_choice, check_rule, strength_at, take_step
from ..types import Denoiser, Energy, Estimate, Schedule

SCALES = ("relative", "absolute")
OPTIMISERS = ("adam", "gd", "polyak")
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # Adam's own, arXiv:1412.6980, algorithm 1


@dataclass(frozen=True)
class Backward:
    """x0 takes `steps` steps of Adam, gradient descent or Polyak's descent down its energy.

    relative: the total change has RMS <= strength * posterior standard deviation of x0, and the
        steps are sized to use that up; gradients are measured in units of the first one, so that
        the energy's units do not matter.
    absolute: steps of the learning rate `lr` as published; strength multiplies the total.
    polyak: gradient descent with steps of energy / |gradient|^2, so that neither the energy's units
        nor `lr` matter. For energies that can be 0, as measurements can: there it converges within
        a few steps, and its steps fade as its energy does.

    Arguments:
        energy: what is asked; must depend on x0 or on the image.
        strength: multiplier over the noise level; where it is 0 the model runs as it is.
        scale: relative or absolute.
        steps: optimisation steps per evaluation, >= 1.
        optimiser: adam (published), gd (gradient descent), or polyak.
        lr: learning rate of the absolute scale (published: 0.01).
        stop: energy at which a sample counts as done; its steps fade from 2 stop on. 0 never stops.
        look_at: what the energy is shown above CFG 1: positive, cfg or both, see `Estimate.seen`.

    Raises:
        ValueError: an argument outside its range.
    """

    energy: Energy
    strength: Schedule
    scale: str = "relative"
    steps: int = 4
    optimiser: str = "adam"
    lr: float = 0.01
    stop: float = 0.0
    look_at: str = LOOK_AT
    through_model: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_rule(self, SCALES)
        check_choice("optimiser", self.optimiser, OPTIMISERS)
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One guided evaluation: x (B, C, *S), sigma (B,)."""
        strength, estimate = strength_at(self, sigma), denoise(x, sigma)
        if strength == 0:
            return estimate
        limit = strength * posterior_std(sigma, run.alpha(sigma))
        delta, energy, grad_norm = self._descended(estimate.detached(), limit)
        delta = delta if self.scale == "relative" else strength * delta
        return take_step(self, estimate, delta, energy, grad_norm, run)

    def _descended(self, start: Estimate, limit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Total change of x0 (B, C, *S), and the energy (B,) and gradient norm (B,) before it."""
        energy, grad = at_estimate(self.energy, start, look_at=self.look_at, rule="Backward")
        first = energy, norm(grad)
        length, unit = self._sizes(grad, limit)
        direction = _adam() if self.optimiser == "adam" else DIRECTIONS[self.optimiser]
        delta = torch.zeros_like(grad)
        for step in range(self.steps):
            if step > 0:
                energy, grad = at_estimate(
                    self.energy, start.moved(delta), look_at=self.look_at, rule="Backward"
                )
            # A gradient of 0 is an energy that is met: momentum must not carry it on.
            going = fade(energy, self.stop) * (rms(grad) > 0)
            if not going.any():
                break
            size = per_sample(length * going.to(length), grad)
            delta = delta - size * direction(grad / per_sample(unit, grad), energy)
            delta = clip_rms(delta, limit) if self.scale == "relative" else delta
        return delta, *first

    def _sizes(self, grad: Tensor, limit: Tensor) -> tuple[Tensor, Tensor]:
        """Length of a step, and what gradients are measured in, each (B,)."""
        if self.optimiser == "polyak":
            return torch.ones_like(limit), torch.ones_like(limit)
        if self.scale == "absolute":
            return torch.full_like(limit, self.lr), torch.ones_like(limit)
        return limit / self.steps, peak_rms(grad).clamp_min(torch.finfo(grad.dtype).tiny)


def _plain(grad: Tensor, energy: Tensor) -> Tensor:
    return grad


def _polyak(grad: Tensor, energy: Tensor) -> Tensor:
    """The step to where the energy's tangent is 0; none for a row of zeros."""
    if (energy < 0).any():
        raise RuntimeError(
            "steps of Polyak's size lead to an energy of 0, but this energy is negative: choose "
            "another optimiser, or use no negative weights"
        )
    square = norm(grad).square()
    size = torch.where(square > 0, energy.to(square) / square, torch.zeros_like(square))
    return grad * per_sample(size, grad)


DIRECTIONS = {"gd": _plain, "polyak": _polyak}


def _adam() -> Callable[[Tensor, Tensor], Tensor]:
    """Directions of Adam, its moments kept between calls."""
    moments: list[Tensor] = []
    count = 0

    def direction(grad: Tensor, energy: Tensor) -> Tensor:
        nonlocal count
        count += 1
        mean, square = moments or (torch.zeros_like(grad), torch.zeros_like(grad))
        mean = BETA_1 * mean + (1 - BETA_1) * grad
        square = BETA_2 * square + (1 - BETA_2) * grad.square()
        moments[:] = mean, square
        return (mean / (1 - BETA_1**count)) / ((square / (1 - BETA_2**count)).sqrt() + EPSILON)

    return direction
