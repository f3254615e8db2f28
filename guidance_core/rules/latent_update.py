"""Latent update: the noisy latent itself moves down its energy before the model's step.

References:
    Attend-and-Excite, Chefer et al. 2023, arXiv:2301.13826, algorithm 1 (update and refinement);
    layout guidance, Chen et al. 2023, arXiv:2304.03373, eq. (2); BoxDiff, Pix2Pix-Zero likewise.
    Thresholds as in Attend-and-Excite's refinement; deviates: its rounds evaluate the positive
    branch alone, once each, and no further move follows them.
    Deviates: for x = alpha x0 + sigma n, with sizes that ignore the energy's units, and with a step
    that reaches the sampler through the estimate: exact for Euler, DDIM and (alpha 1) ancestral
    samplers, for others nearly.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..gradients import LOOK_AT, through_model
from ..process import euler_share, noise_angle, per_sample, radius
from ..requirements import name_of_energy, requirements_of
from ..run import Run
from ..schedules import PercentThresholds, Thresholds
from ..shaping import cfg_push, fade, norm, rms, unit_peak
from ..steering import check_rule, record, strength_at
from ..types import Denoiser, Energy, Estimate, Schedule

SCALES = ("relative", "absolute")
REACH = 4.0  # where steps used to have one size, 20 of them went about as far


@dataclass(frozen=True)
class LatentUpdate:
    """x moves against the gradient of its energy, then the model is evaluated where it went.

    absolute: x <- x - strength * (alpha^2 + sigma^2) * grad, the papers' z <- z - strength * grad
        for the latent z of unit variance.
    relative: RMS of the step = strength * 4 * sqrt(alpha^2 + sigma^2) * (theta - theta_next), where
        theta = atan2(sigma, alpha) is the angle of the noise and theta_next that at the run's next
        level. So a run moves x / sqrt(alpha^2 + sigma^2), of unit variance, by strength * 4 * the
        angle that the rule's window covers, whatever the number of steps and their spacing: four
        times as far as Forward of that strength.

    The sampler takes an estimate and keeps its own x, so what the change of x leaves behind the
    sampler's next step is added to the estimate.

    While x moves the negative branch is left out, if the energy reads captures only: those are of
    the positive branch. The step that is recorded is then the change of that branch.

    Arguments:
        energy: what is asked.
        strength: multiplier over the noise level; where it is 0 the model runs as it is.
        scale: relative or absolute.
        iterations: steps per evaluation at most, >= 1; all are taken until `stop` is reached.
        stop: energy at which a sample counts as done; its steps fade from 2 stop on. 0 never stops.
        look_at: what the energy is shown above CFG 1: positive, cfg or both, see `Estimate.seen`.
        depth: share of the model's blocks that the gradient goes through, from those nearest to the
            output on, in (0, 1], see `truncation`.
        thresholds: energies to be reached at some steps: there a sample moves, in place of
            `iterations` times, until its energy is at its threshold or `rounds` are spent.
        rounds: moves at most at such a step, >= 1; Attend-and-Excite's 20.

    Raises:
        ValueError: an argument outside its range.
    """

    energy: Energy
    strength: Schedule
    scale: str = "relative"
    iterations: int = 1
    stop: float = 0.0
    look_at: str = LOOK_AT
    depth: float = 1.0
    thresholds: PercentThresholds | Thresholds | None = None
    rounds: int = 20
    through_model: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rule(self, SCALES)
        if self.iterations < 1:
            raise ValueError(f"iterations must be >= 1, got {self.iterations}")
        if self.rounds < 1:
            raise ValueError(f"rounds must be >= 1, got {self.rounds}")

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One guided evaluation: x (B, C, *S), sigma (B,)."""
        level, strength = float(sigma[0]), strength_at(self, sigma)
        if strength == 0:
            return denoise(x, sigma)
        step, before, after, energy, grad_norm = self._descended(denoise, x, sigma, run, strength)
        estimate = after or denoise(x + step, sigma)
        estimate = estimate.moved(step * _left(level, run))
        record(self, estimate, energy, grad_norm, self._pushes(before, estimate), run)
        return estimate

    @property
    def _alone(self) -> bool:
        """Whether the positive branch is all that the energy needs."""
        return requirements_of([self.energy]).captures_only

    def _pushes(self, before: Estimate, after: Estimate) -> tuple[Tensor, Tensor | None]:
        """RMS of the change of x0 and of the step of CFG, (B,)."""
        if self._alone and before.cond is not None and after.cond is not None:
            return rms(after.cond - before.cond).detach(), cfg_push(after)
        return rms(after.x0 - before.x0).detach(), cfg_push(before)

    def _descended(
        self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run, strength: float
    ) -> tuple[Tensor, Estimate, Estimate | None, Tensor, Tensor]:
        """Change of x; the estimates before it and, if known, after it; energy and gradient norm.

        The last two, of shape (B,), are those before the change.
        """
        step, seen = torch.zeros_like(x), list[tuple[Estimate, Tensor, Tensor]]()
        limit, moves = self._asked(float(sigma[0]), run)
        asked = _until(self.energy, limit)
        for _ in range(moves):
            with run.positive_alone() if self._alone else nullcontext():
                estimate, energy, grad = through_model(
                    asked, denoise, x + step, sigma, look_at=self.look_at, rule="LatentUpdate"
                )
            if not seen:
                seen.append((estimate, energy, norm(grad)))
            size = (strength * fade(energy, self.stop) * (energy > limit)).to(sigma)
            if not size.any():
                return step, seen[0][0], None if self._alone else estimate, *seen[0][1:]
            step = step - self._scaled(grad, sigma, run) * per_sample(size, grad)
        return step, seen[0][0], None, *seen[0][1:]

    def _asked(self, sigma: float, run: Run) -> tuple[float, int]:
        """The energy to be reached at this step, and how many moves at most."""
        limits = self.thresholds
        limit = None if limits is None else limits.at(sigma, run.sigmas.tolist())
        return (-math.inf, self.iterations) if limit is None else (limit, self.rounds)

    def _scaled(self, grad: Tensor, sigma: Tensor, run: Run) -> Tensor:
        alpha = run.alpha(sigma)
        if self.scale == "absolute":
            return grad * per_sample(radius(sigma, alpha).square(), grad)
        following = sigma.new_full(sigma.shape, run.next_sigma(float(sigma[0])))
        turn = noise_angle(sigma, alpha) - noise_angle(following, run.alpha(following))
        return unit_peak(grad) * per_sample(REACH * turn * radius(sigma, alpha), grad)


def _until(energy: Energy, limit: float) -> Energy:
    """The energy without a slope where it is reached: those samples need no backward pass."""
    if limit == -math.inf:
        return energy

    def unmet(estimate: Estimate) -> Tensor:
        value = energy(estimate)
        return torch.where(value > limit, value, value.detach())

    unmet.__name__ = name_of_energy(energy)
    return unmet


def _left(level: float, run: Run) -> float:
    """What a change of x leaves behind, in units of a change of x0 that the step carries on.

    A step of share s makes (1 - s) x + s x0 of both, so that a change d of x arrives as the change
    d (1 - s) / s of x0. Samplers without a share are taken for Euler's.
    """
    share = (run.share or euler_share)(level, run.next_sigma(level))
    return (1 - share) / share
