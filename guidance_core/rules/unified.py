"""Training-free guidance: the gradients through the model and at the estimate in one rule.

References:
    TFG: Unified Training-Free Guidance for Diffusion Models, Ye et al. 2024, arXiv:2409.15761,
    algorithm 1. Deviates: recurrence is a sampler's matter (`recurrence`); steps of relative size
    by default; the noise of the smoothing follows sigma / sqrt(alpha^2 + sigma^2) only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..gradients import LOOK_AT, at_estimate, smoothed, through_model
from ..process import per_sample, posterior_std
from ..requirements import requirements_of
from ..run import Run
from ..schedules.courses import COURSES, course_factor
from ..shaping import (
    STEPS,
    as_squared_norm,
    clip_rms,
    fade,
    norm,
    peak_rms,
    published_sizes,
    root_gradient,
    unit_peak,
    unit_size,
)
from ..steering import check_choice, check_rule, strength_at, take_step
from ..types import Denoiser, Energy, Estimate, Schedule

SCALES = ("relative", "absolute", "cfg")


@dataclass(frozen=True)
class Unified:
    """A step of size rho through the model and one of size mu at the estimate, of one energy.

    gamma smooths the energy for both.

    relative: rho times strength is the RMS of the step through the model, mu times strength the
        largest RMS of the step at the estimate, both in units of the posterior standard deviation.
    cfg: the same in units of the step of CFG.
    absolute: x_next += rho r^2 alpha_next / alpha * dlogf/dx + alpha_next * delta0, where delta0
        takes `iterations` steps of mu * dlogf/dx0: the paper's step, which needs a sampler of one
        evaluation a step. log f is -energy, or -sqrt(energy) with `root`. Other methods' factors
        of rho and mu are chosen with `step`.

    Arguments:
        energy: what is asked.
        strength: multiplier of rho and mu over the noise level; where it is 0 the model runs as it
            is.
        scale: relative, absolute or cfg.
        rho: size of variance guidance, through the model; 0 needs no backward pass through it.
        mu: size of mean guidance, at the estimate.
        gamma: width of the smoothing in posterior standard deviations; 0 is none.
        samples: draws of the smoothing, >= 1 where gamma is not 0.
        iterations: steps of mean guidance, >= 1 (TFG: 4).
        course: constant, or how rho and mu follow the steps' signal ratio: increase (TFG) or
            decrease, with mean 1 over the run.
        root: in the absolute scale, log f is minus the root of the energy: a residual's norm, the
            published one where the energy knows it; its square is then what is recorded.
        step: in the absolute scale, whose factors rho and mu have (see `published_sizes`): TFG,
            DPS, FreeDoM or MPGD.
        stop: energy at which a sample counts as done; its step fades from 2 stop on. 0 never stops.
        look_at: what the energy is shown above CFG 1: positive, cfg or both, see `Estimate.seen`.
        depth: share of the model's blocks that the gradient goes through, from those nearest to the
            output on, in (0, 1], see `truncation`.

    Raises:
        ValueError: an argument outside its range, gamma without samples, or mu or gamma with an
            energy that reads captures.
    """

    energy: Energy
    strength: Schedule
    scale: str = "relative"
    rho: float = 1.0
    mu: float = 0.5
    gamma: float = 0.0
    samples: int = 0
    iterations: int = 4
    course: str = "constant"
    root: bool = False
    stop: float = 0.0
    step: str = "TFG"
    look_at: str = LOOK_AT
    depth: float = 1.0

    def __post_init__(self) -> None:
        check_rule(self, SCALES)
        check_choice("course", self.course, COURSES)
        check_choice("step", self.step, STEPS)
        if not min(self.rho, self.mu, self.gamma) >= 0:
            raise ValueError(
                f"need rho, mu and gamma >= 0, got {self.rho}, {self.mu} and {self.gamma}"
            )
        if self.iterations < 1 or self.samples < 0:
            raise ValueError(
                f"need iterations >= 1 and samples >= 0, got {self.iterations} and {self.samples}"
            )
        if self.gamma > 0 and self.samples == 0:
            raise ValueError(
                f"gamma {self.gamma:g} needs samples to smooth over: set samples to 1 or more, or "
                "gamma to 0"
            )
        inside = requirements_of([self.energy]).not_of_estimate
        if inside and (self.mu > 0 or self.gamma > 0):
            raise ValueError(
                f"mu and gamma work on the clean estimate, but the energy reads {inside}: set both "
                "to 0, or choose a preset with rho alone (DPS, FreeDoM)"
            )

    @property
    def through_model(self) -> bool:
        """Whether the host must build a graph through the model."""
        return self.rho > 0

    @property
    def one_step(self) -> bool:
        """Whether the step is placed behind the sampler's step."""
        return self.scale == "absolute"

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One guided evaluation: x (B, C, *S), sigma (B,)."""
        strength = strength_at(self, sigma)
        if strength == 0 or self.rho == self.mu == 0:
            return denoise(x, sigma)
        energy = self._smooth(run, sigma)
        estimate, value, grad = self._gradient(energy, denoise, x, sigma)
        pace = strength * course_factor(self.course, float(sigma[0]), run.sigmas, run.alpha)
        size = pace * fade(value, self.stop).to(sigma)
        through, at, out = self._units(estimate, run)
        known = (value, grad) if self.rho == 0 else None
        delta = self._mean_guidance(energy, estimate.detached(), self.mu * size * at, known)
        delta = delta * per_sample(out, grad)
        if self.rho > 0:
            step = self._slope(value, grad) * per_sample(self.rho * size * through, grad)
            delta = delta - step
        return take_step(self, estimate, delta, value, norm(grad), run)

    def _gradient(
        self, energy: Energy, denoise: Denoiser, x: Tensor, sigma: Tensor
    ) -> tuple[Estimate, Tensor, Tensor]:
        """Estimate, energy and gradient: through the model, or at x0 where rho is 0."""
        if self.rho > 0:
            return through_model(energy, denoise, x, sigma, look_at=self.look_at, rule="Unified")
        estimate = denoise(x, sigma)
        looked = {"look_at": self.look_at, "rule": "Unified"}
        return estimate, *at_estimate(energy, estimate.detached(), **looked)

    def _smooth(self, run: Run, sigma: Tensor) -> Energy:
        """The energy, smoothed where gamma is not 0."""
        if self.gamma == 0:
            return self._followed
        spread = self.gamma * posterior_std(sigma, run.alpha(sigma))
        key = run.seed, float(sigma[0])

        def smooth(estimate: Estimate) -> Tensor:
            return smoothed(self._followed, estimate, spread, self.samples, *key)

        smooth.__name__ = f"smoothed {type(self.energy).__name__}"
        return smooth

    def _slope(self, value: Tensor, grad: Tensor) -> Tensor:
        """Gradient as the scale takes it: of unit RMS, of the root of the energy, or as it is."""
        if self.scale != "absolute":
            return unit_peak(grad)
        return root_gradient(grad, value) if self._rooted else grad

    @property
    def _rooted(self) -> bool:
        return self.root and self.scale == "absolute"

    @cached_property
    def _followed(self) -> Energy:
        """The energy, in the units of its published norm where the root of it is taken."""
        return as_squared_norm(self.energy) if self._rooted else self.energy

    def _units(self, estimate: Estimate, run: Run) -> tuple[Tensor, Tensor, Tensor]:
        """Factors (B,): of rho, of mu, and of the change of x0 that mean guidance finds."""
        sigma = estimate.sigma
        if self.scale != "absolute":
            unit = unit_size(self.scale, estimate, run.alpha(sigma), "Unified")
            return unit, unit, torch.ones_like(unit)
        through, at, out = published_sizes(self.step, sigma, run)
        share = run.carried(float(sigma[0]))
        return through / share, at, out / share

    def _mean_guidance(
        self,
        energy: Energy,
        start: Estimate,
        size: Tensor,
        known: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """Change of x0 down the energy, of RMS `size` at most unless absolute.

        `known` is the energy and its gradient at the start, where they are known already.
        """
        delta = torch.zeros_like(start.x0)
        if self.mu == 0:
            return delta
        known = known or at_estimate(energy, start, look_at=self.look_at, rule="Unified")
        unit = peak_rms(known[1]).clamp_min(torch.finfo(delta.dtype).tiny)
        for step in range(self.iterations):
            value, grad = known
            if step > 0:
                value, grad = at_estimate(energy, start.moved(delta), look_at=self.look_at)
            if self.scale == "absolute":
                delta = delta - per_sample(size, grad) * self._slope(value, grad)
            else:
                length = per_sample(size / self.iterations, grad)
                delta = delta - length * (grad / per_sample(unit, grad))
        return delta if self.scale == "absolute" else clip_rms(delta, size)
