"""Manifold preserving guidance: the gradient at the clean estimate, without the model.

References:
    Manifold Preserving Guided Diffusion, He et al. 2024, arXiv:2311.16424, algorithms 1 and 2.
    Deviates: one gradient per sample, never one norm over the batch. For latent models the decoder
    is the paper's projection already; `projected` adds its autoencoder (MPGD-AE) on top.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from ..gradients import LOOK_AT, at_estimate
from ..process import per_sample
from ..requirements import requirements_of
from ..run import Run
from ..shaping import fade, norm
from ..steering import check_rule, strength_at, take_step, unit_step
from ..types import Denoiser, Energy, Estimate, Schedule

SCALES = ("relative", "absolute", "cfg")


@dataclass(frozen=True)
class Manifold:
    """x0 takes one step against the gradient of its energy, and the step keeps its noise.

    relative: RMS(delta) = strength * posterior standard deviation of x0; one gradient step of
        Backward.
    cfg: RMS(delta) = strength * RMS(x0 - uncond), as MPGD scales its style guidance.
    absolute: the next latent moves by alpha_next * strength * gradient, as published: x0 moves and
        the noise stays what it was. Needs a sampler of one evaluation a step.

    Arguments:
        energy: what is asked; must depend on x0 or on the image.
        strength: multiplier over the noise level; where it is 0 the model runs as it is.
        scale: relative, absolute or cfg.
        stop: energy at which a sample counts as done; its step fades from 2 stop on. 0 never stops.
        projected: take the gradient behind the autoencoder, at encode(decode(x0)); the host's
            decoder must have an `encode`.
        look_at: what the energy is shown above CFG 1: positive, cfg or both, see `Estimate.seen`.

    Raises:
        ValueError: an unknown scale, a negative stop, or an energy that reads captures.
    """

    energy: Energy
    strength: Schedule
    scale: str = "relative"
    stop: float = 0.0
    projected: bool = False
    look_at: str = LOOK_AT
    through_model: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_rule(self, SCALES)
        inside = requirements_of([self.energy]).not_of_estimate
        if inside:
            raise ValueError(
                f"Manifold works on the clean estimate, but the energy reads {inside}: use a rule "
                "that goes through the model"
            )

    @property
    def one_step(self) -> bool:
        """Whether the step is placed behind the sampler's step."""
        return self.scale == "absolute"

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One guided evaluation: x (B, C, *S), sigma (B,)."""
        strength = strength_at(self, sigma)
        if strength == 0:
            return denoise(x, sigma)
        estimate = denoise(x, sigma)
        energy, grad = at_estimate(
            self._seen, estimate.detached(), look_at=self.look_at, rule="Manifold"
        )
        size = strength * fade(energy, self.stop).to(sigma)
        delta = -self._scaled(grad, estimate, run) * per_sample(size, grad)
        return take_step(self, estimate, delta, energy, norm(grad), run)

    def _seen(self, estimate: Estimate) -> Tensor:
        """The energy (B,), behind the autoencoder where that is asked for."""
        if not self.projected:
            return self.energy(estimate)
        encode = getattr(estimate.decode, "encode", None)
        if encode is None:
            raise ValueError(
                "projecting needs an autoencoder, but the decoder cannot encode: connect a VAE, "
                "or switch the projection off"
            )
        return self.energy(replace(estimate, x0=encode(estimate.image), captures={}))

    def _scaled(self, grad: Tensor, estimate: Estimate, run: Run) -> Tensor:
        if self.scale != "absolute":
            return unit_step(self, grad, estimate, run)
        sigma, level = estimate.sigma, float(estimate.sigma[0])
        kept = run.alpha(sigma.new_full(sigma.shape, run.next_sigma(level)))
        return grad * per_sample(kept / run.carried(level), grad)
