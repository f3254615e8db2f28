"""An energy whose weight changes along the run."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..requirements import is_active, reached_at
from ..types import Energy, Estimate, Schedule


@dataclass(frozen=True)
class Scheduled:
    """Another energy times a schedule of the noise level.

    Meant for the parts of a WeightedSum. Alone, under a rule with a normalised scale, only whether
    the schedule is 0 matters: there, schedule the rule's strength instead.

    Arguments:
        energy: what is asked.
        schedule: factor over the noise level; where it is 0 the energy is not evaluated.
    """

    energy: Energy
    schedule: Schedule

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        factor = self.schedule(float(estimate.sigma[0]))
        if factor == 0:
            return estimate.x0.new_zeros(estimate.x0.shape[0])
        return factor * self.energy(estimate)

    def reached(self, sigma: float) -> float | None:
        """What the energy counts as reached at, times the schedule."""
        inner, factor = reached_at(self.energy, sigma), self.schedule(sigma)
        return factor * inner if inner is not None and factor > 0 else None

    def active(self, sigma: float) -> bool:
        """Whether the schedule is not 0 here and the energy has an effect."""
        return self.schedule(sigma) != 0 and is_active(self.energy, sigma)
