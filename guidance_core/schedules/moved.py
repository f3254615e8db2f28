"""A strength that counts only where the estimate has moved."""

from __future__ import annotations

from dataclasses import dataclass

from ..types import Schedule


@dataclass(frozen=True)
class WhenMoved:
    """Another schedule, for rules that rest while the clean estimate stays where it was.

    The rule takes a gradient at the first step where the schedule is not 0, and again as soon as
    the estimate has moved since the last gradient by more than `fraction` of its standard
    deviation; between them it has no effect. `compose.guided` sees to it: the schedule alone knows
    nothing of the estimate, and is the inner one.

    Arguments:
        schedule: strength at the steps that count.
        fraction: of the posterior standard deviation of x0, > 0.

    Raises:
        ValueError: a fraction of 0 or below.
    """

    schedule: Schedule
    fraction: float

    def __post_init__(self) -> None:
        if not self.fraction > 0:
            raise ValueError(f"fraction must be > 0, got {self.fraction}: leave it out for 0")

    def __call__(self, sigma: float) -> float:
        """The schedule's strength."""
        return self.schedule(sigma)
