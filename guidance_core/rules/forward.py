"""Forward universal guidance: the energy's gradient through the model shifts the estimate.

References:
    Universal Guidance for Diffusion Models, Bansal et al. 2023, arXiv:2302.07121, eq. (6).
    Deviates: for x = alpha x0 + sigma n, and with sizes that ignore the energy's units.
    The calibrated scale: see `calibration`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ..calibration import TOGETHER, averaged_gradient, check_calibrated
from ..gradients import LOOK_AT, through_model
from ..inverse import linear_measurement, measured_gradient
from ..process import per_sample
from ..run import Run
from ..shaping import LEAST_ALPHA, fade, norm
from ..steering import check_rule, strength_at, take_step, unit_step
from ..types import Denoiser, Energy, Estimate, Schedule

SCALES = ("relative", "absolute", "cfg", "calibrated")


@dataclass(frozen=True)
class Forward:
    """x0 moves against the gradient of its energy with respect to the noisy latent.

    absolute: delta = -strength * sigma^2 / alpha * grad, the exact shift of the posterior mean to
        first order in sigma^2 when strength is 1 and the energy a negative log-likelihood.
    calibrated: the same step, of the energy averaged over what x leaves open about x0, so that
        strength 1 with a negative log-likelihood aims at the posterior; how near it comes is in
        docs/truth.md. By draws, 16 of them where the noise is high and none where it is low; for a
        linear `Measurement` in closed form with Tweedie's covariance, without draws.
    relative: RMS(delta) = strength * posterior standard deviation of x0. Knows nothing of the
        energy's units, needs no CFG.
    cfg: RMS(delta) = strength * RMS(x0 - uncond), the step of CFG (FreeDoM, arXiv:2303.09833).

    Arguments:
        energy: what is asked.
        strength: multiplier over the noise level; where it is 0 the model runs as it is.
        scale: relative, absolute, cfg or calibrated.
        stop: energy at which a sample counts as done; its step fades from 2 stop on. 0 never stops.
        look_at: what the energy is shown above CFG 1: positive, cfg or both, see `Estimate.seen`.
        iterations: of the solver for a measurement in the calibrated scale, >= 1, each a backward
            pass through the model.
        depth: share of the model's blocks that the gradient goes through, from those nearest to the
            output on, in (0, 1], see `truncation`.

    Raises:
        ValueError: an unknown scale, a negative stop, no iterations, or in the calibrated scale an
            energy of captures, or a measurement inside a sum of several.
    """

    energy: Energy
    strength: Schedule
    scale: str = "relative"
    stop: float = 0.0
    look_at: str = LOOK_AT
    iterations: int = 3
    depth: float = 1.0
    through_model: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rule(self, SCALES)
        if self.iterations < 1:
            raise ValueError(f"iterations must be >= 1, got {self.iterations}")
        if self.scale == "calibrated":
            check_calibrated(self.energy)

    @property
    def together(self) -> int:
        """How many images of one sample are decoded at once, for the host's estimate of memory."""
        draws = self.scale == "calibrated" and linear_measurement(self.energy) is None
        return TOGETHER if draws else 1

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One guided evaluation: x (B, C, *S), sigma (B,)."""
        strength = strength_at(self, sigma)
        if strength == 0:
            return denoise(x, sigma)
        estimate, energy, grad = self._differentiated(denoise, x, sigma, run)
        size = strength * fade(energy, self.stop).to(sigma)
        delta = -self._scaled(grad, estimate, run) * per_sample(size, grad)
        return take_step(self, estimate, delta, energy, norm(grad), run)

    def _differentiated(
        self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run
    ) -> tuple[Estimate, Tensor, Tensor]:
        """Estimate, energy and gradient with respect to x."""
        look: dict[str, Any] = {"look_at": self.look_at, "rule": "Forward"}
        if self.scale != "calibrated":
            return through_model(self.energy, denoise, x, sigma, **look)
        measurement = linear_measurement(self.energy)
        if measurement is None:
            return averaged_gradient(self.energy, denoise, x, sigma, run, **look)
        look["iterations"] = self.iterations
        return measured_gradient(self.energy, measurement, denoise, x, sigma, run, **look)

    def _scaled(self, grad: Tensor, estimate: Estimate, run: Run) -> Tensor:
        """The step down of strength 1, with the sign of the gradient."""
        if self.scale not in ("absolute", "calibrated"):
            return unit_step(self, grad, estimate, run)
        sigma, alpha = estimate.sigma, run.alpha(estimate.sigma)
        return grad * per_sample(sigma.square() / alpha.clamp_min(LEAST_ALPHA), grad)
