"""An energy averaged over noise around the estimate, under any rule.

References:
    Loss-Guided Diffusion for Plug-and-Play Controllable Generation, Song et al. 2023, ICML.
    Deviates: the draws depend on the seed and the noise level alone, so that the same
    workflow gives the same bytes, and steps within one evaluation see the same draws.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..gradients import smoothed
from ..requirements import requirements_of
from ..types import Energy, Estimate


@dataclass(frozen=True)
class Smoothed:
    """-log of the mean of exp(-energy) over draws around x0.

    The draws have a standard deviation of gamma * sigma / sqrt(alpha^2 + sigma^2): what is
    uncertain about x0, for latents of unit variance. Masks go inside: what is outside a mask is a
    constant.

    Arguments:
        energy: an energy of x0 or of the image.
        gamma: width of the noise, >= 0 (LGD: 1; TFG: 0.001 to 1); 0 is the energy itself.
        samples: draws, >= 1 (TFG: 1), each one evaluation of the energy.
        seed: seed of the draws.

    Raises:
        ValueError: an argument outside its range, or an energy that reads captures.
    """

    energy: Energy
    gamma: float = 1.0
    samples: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.gamma >= 0:
            raise ValueError(f"gamma must be >= 0, got {self.gamma}")
        if self.samples < 1:
            raise ValueError(f"samples must be >= 1, got {self.samples}")
        inside = requirements_of([self.energy]).not_of_estimate
        if inside:
            raise ValueError(
                f"smoothing moves the clean estimate, but the energy reads {inside}: smooth only "
                "energies of the image or of the clean latent"
            )

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        if self.gamma == 0:
            return self.energy(estimate)
        spread = self.gamma * estimate.sigma / estimate.radius
        key = self.seed, float(estimate.sigma[0])
        return smoothed(self.energy, estimate, spread, self.samples, *key)
