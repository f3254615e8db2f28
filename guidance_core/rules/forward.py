"""Forward universal guidance: the energy's gradient through the model shifts the estimate.

References:
    Universal Guidance for Diffusion Models, Bansal et al. 2023, arXiv:2302.07121, eq. (6).
    Deviates: for x = alpha x0 + sigma n, and with sizes that ignore the energy's units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..gradients import LOOK_AT, through_model
from ..process import per_sample
from ..shaping import fade, norm
from ..steering import check_rule, strength_at, take_step, unit_step
from ..types import Denoiser, Energy, Estimate, Run, Schedule

SCALES = ("relative", "absolute", "cfg")
LEAST_ALPHA = 0.05  # caps sigma^2 / alpha where a flow is all noise


@dataclass(frozen=True)
class Forward:
    """x0 moves against the gradient of its energy with respect to the noisy latent.

    absolute: delta = -strength * sigma^2 / alpha * grad, the exact shift of the posterior mean to
        first order in sigma^2 when strength is 1 and the energy a negative log-likelihood.
    relative: RMS(delta) = strength * posterior standard deviation of x0. Knows nothing of the
        energy's units, needs no CFG.
    cfg: RMS(delta) = strength * RMS(x0 - uncond), the step of CFG (FreeDoM, arXiv:2303.09833).

    Arguments:
        energy: what is asked.
        strength: multiplier over the noise level; where it is 0 the model runs as it is.
        scale: relative, absolute or cfg.
        stop: energy at which a sample counts as done; its step fades from 2 stop on. 0 never stops.
        look_at: what the energy is shown above CFG 1: positive, cfg or both, see `Estimate.seen`.

    Raises:
        ValueError: an unknown scale, or a negative stop.
    """

    energy: Energy
    strength: Schedule
    scale: str = "relative"
    stop: float = 0.0
    look_at: str = LOOK_AT
    through_model: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rule(self, SCALES)

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One guided evaluation: x (B, C, *S), sigma (B,)."""
        strength = strength_at(self, sigma)
        if strength == 0:
            return denoise(x, sigma)
        estimate, energy, grad = through_model(
            self.energy, denoise, x, sigma, look_at=self.look_at, rule="Forward"
        )
        size = strength * fade(energy, self.stop).to(sigma)
        delta = -self._scaled(grad, estimate, run) * per_sample(size, grad)
        return take_step(self, estimate, delta, energy, norm(grad), run)

    def _scaled(self, grad: Tensor, estimate: Estimate, run: Run) -> Tensor:
        """The step down of strength 1, with the sign of the gradient."""
        if self.scale != "absolute":
            return unit_step(self, grad, estimate, run)
        sigma, alpha = estimate.sigma, run.alpha(estimate.sigma)
        return grad * per_sample(sigma.square() / alpha.clamp_min(LEAST_ALPHA), grad)
