"""Strength over the noise level. "Schedule" means strength; the noise levels are `sigmas`.

One convention of bounds: active when sigma_end < sigma <= sigma_start.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from ..types import Schedule

# Progress 0 at the window's start, 1 at its end.
CURVES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear_down": lambda progress: 1.0 - progress,
    "linear_up": lambda progress: progress,
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
}
KNOTS = 64


def _check(curve: str, value: float) -> None:
    if curve not in CURVES:
        raise ValueError(f"curve must be one of {', '.join(CURVES)}, got '{curve}'")
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"strength must be a finite number >= 0, got {value}")


@dataclass(frozen=True)
class Constant:
    """The same strength at every noise level."""

    value: float = 1.0

    def __post_init__(self) -> None:
        _check("constant", self.value)

    def __call__(self, sigma: float) -> float:
        """The value."""
        return self.value


@dataclass(frozen=True)
class Window:
    """Strength between two noise levels, and 0 elsewhere.

    Arguments:
        sigma_start: highest active noise level, may be infinite.
        sigma_end: noise level below the lowest active one, >= 0.
        curve: course of the strength between them: constant, linear_down, linear_up or cosine
            (from full to none).
        value: strength where the curve is 1.
        knots: falling noise levels at equal steps of progress, from sigma_start to sigma_end.
            Without knots progress is linear in arctan(sigma), the noise's angle for alpha = 1.
    """

    sigma_start: float = math.inf
    sigma_end: float = 0.0
    curve: str = "constant"
    value: float = 1.0
    knots: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _check(self.curve, self.value)
        if not 0 <= self.sigma_end < self.sigma_start:
            raise ValueError(
                f"need 0 <= sigma_end < sigma_start, got {self.sigma_end} and {self.sigma_start}"
            )
        if any(high < low for high, low in pairwise(self.knots)):
            raise ValueError("knots must fall from sigma_start to sigma_end")

    def __call__(self, sigma: float) -> float:
        """Strength at this noise level."""
        if not self.sigma_end < sigma <= self.sigma_start:
            return 0.0
        return self.value * CURVES[self.curve](self._progress(sigma))

    def _progress(self, sigma: float) -> float:
        if self.curve == "constant":
            return 0.0
        if not self.knots:
            start, end = math.atan(self.sigma_start), math.atan(self.sigma_end)
            return (start - math.atan(sigma)) / (start - end)
        return position_among(sigma, self.knots)


def position_among(sigma: float, knots: tuple[float, ...]) -> float:
    """Position of sigma among falling knots, in [0, 1]."""
    below = bisect_right(knots, -sigma, key=lambda knot: -knot)
    if below in (0, len(knots)):
        return below / len(knots)
    high, low = knots[below - 1], knots[below]
    part = 1.0 if math.isinf(high) else (high - sigma) / (high - low)
    return (below - 1 + part) / (len(knots) - 1)


@dataclass(frozen=True)
class PercentWindow:
    """A window in the host's percentages, before a model's noise levels are known.

    Percent 0 is before the first step and reaches up to any noise level, percent 1 is the end and
    reaches down to everything above 0. `compose.with_noise_levels` turns it into a Window.

    Arguments:
        start_percent: in [0, 1), smaller than end_percent.
        end_percent: in (0, 1].
        curve: as in Window; its progress is linear in the percentage.
        value: strength where the curve is 1.
    """

    start_percent: float = 0.0
    end_percent: float = 1.0
    curve: str = "constant"
    value: float = 1.0

    def __post_init__(self) -> None:
        _check(self.curve, self.value)
        if not 0 <= self.start_percent < self.end_percent <= 1:
            raise ValueError(
                "need 0 <= start_percent < end_percent <= 1, "
                f"got {self.start_percent} and {self.end_percent}"
            )

    def __call__(self, sigma: float) -> float:
        """Refuse: percentages are not noise levels."""
        raise TypeError("PercentWindow knows no noise levels: use compose.with_noise_levels first")

    def on(self, percent_to_sigma: Callable[[float], float]) -> Window:
        """The same window on a model's noise levels."""
        span = self.end_percent - self.start_percent
        percents = [self.start_percent + span * k / KNOTS for k in range(KNOTS)]
        levels = [float(percent_to_sigma(percent)) for percent in (*percents, self.end_percent)]
        levels[0] = math.inf if self.start_percent == 0 else levels[0]
        levels[-1] = 0.0 if self.end_percent == 1 else levels[-1]
        return Window(levels[0], levels[-1], self.curve, self.value, tuple(levels))


@dataclass(frozen=True)
class Scaled:
    """Another schedule times a factor >= 0."""

    schedule: Schedule
    factor: float = 1.0

    def __post_init__(self) -> None:
        _check("constant", self.factor)

    def __call__(self, sigma: float) -> float:
        """The factor times the schedule's strength."""
        return self.factor * self.schedule(sigma) if self.factor else 0.0
