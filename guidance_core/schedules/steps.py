"""A strength at some of the steps only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..types import Schedule

ROUNDING = 1e-5  # a level that single precision rounded is still itself


@dataclass(frozen=True)
class EveryNth:
    """Another schedule at every n-th step, from the first where it is not 0, and 0 at the others.

    Steps are counted by the noise levels of the run, not by calls: what a sampler evaluates between
    two levels belongs to the step from the upper one, and a step that recurs is the same step.
    `compose.with_noise_levels` tells it the levels.

    Arguments:
        schedule: strength at the steps that count.
        every: n, >= 1.
        levels: noise levels at which the steps of the run begin; none before they are known.

    Raises:
        ValueError: every below 1.
    """

    schedule: Schedule
    every: int
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be >= 1, got {self.every}: 1 is every step")

    def __call__(self, sigma: float) -> float:
        """The schedule's strength, or 0."""
        if not self.levels:
            raise TypeError("EveryNth knows no steps: use compose.with_noise_levels first")
        above = [level for level in self.levels if level >= sigma * (1 - ROUNDING)]
        begins = min(above, default=max(self.levels))
        return self.schedule(sigma) if begins in self._counted else 0.0

    @cached_property
    def _counted(self) -> list[float]:
        """Levels at which steps with a strength begin."""
        falling = sorted(set(self.levels), reverse=True)
        return [level for level in falling if self.schedule(level) > 0][:: self.every]

    def among(self, schedule: Schedule, sigmas: Sequence[float]) -> EveryNth:
        """The same of a schedule on noise levels, in a run of these."""
        return replace(self, schedule=schedule, levels=tuple(sigmas))
