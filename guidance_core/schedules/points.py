"""A strength drawn by hand: straight lines between points over the run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from .windows import KNOTS, position_among

EXAMPLE = "0:0, 0.3:1, 0.7:0.5"


@dataclass(frozen=True)
class Polyline:
    """Strength along straight lines between points, and 0 before the first and after the last.

    Arguments:
        points: pairs (percent, strength) with rising percents, at least two. Two points at one
            percent are a jump.
        knots: falling noise levels at equal steps of percent, from the first point to the last.
    """

    points: tuple[tuple[float, float], ...]
    knots: tuple[float, ...]

    def __call__(self, sigma: float) -> float:
        """Strength at this noise level."""
        if not self.knots[-1] < sigma <= self.knots[0]:
            return 0.0
        first, last = self.points[0][0], self.points[-1][0]
        return _between(first + (last - first) * position_among(sigma, self.knots), self.points)


@dataclass(frozen=True)
class PercentPoints:
    """Points in the host's percentages, before a model's noise levels are known.

    Percentages are those of `schedules.PercentWindow`: 0 reaches up to any noise level, 1 down to
    everything above 0. `compose.with_noise_levels` turns it into a Polyline.

    Arguments:
        points: pairs (percent, strength), at least two; percents in [0, 1], never falling, and not
            all the same; strengths finite and >= 0.

    Raises:
        ValueError: points that are none of this.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.points) < 2:
            raise ValueError(f"points need at least two, such as {EXAMPLE}: got {len(self.points)}")
        for percent, strength in self.points:
            if not 0 <= percent <= 1:
                raise ValueError(
                    f"positions of points must lie in [0, 1], got {percent:g}: 0 is pure noise, 1 "
                    "the finished image"
                )
            if not (math.isfinite(strength) and strength >= 0):
                raise ValueError(f"strengths of points must be finite and >= 0, got {strength:g}")
        for (left, _), (right, _) in pairwise(self.points):
            if right < left:
                raise ValueError(
                    f"points must go from left to right, got {left:g} before {right:g}"
                )
        if self.points[0][0] == self.points[-1][0]:
            raise ValueError("points must not all have one position: move one to the right")

    def __call__(self, sigma: float) -> float:
        """Refuse: percentages are not noise levels."""
        raise TypeError("PercentPoints know no noise levels: use compose.with_noise_levels first")

    def on(self, percent_to_sigma: Callable[[float], float]) -> Polyline:
        """The same points on a model's noise levels."""
        first, last = self.points[0][0], self.points[-1][0]
        percents = [first + (last - first) * k / KNOTS for k in range(KNOTS)]
        levels = [float(percent_to_sigma(percent)) for percent in (*percents, last)]
        levels[0] = math.inf if first == 0 else levels[0]
        levels[-1] = 0.0 if last == 1 else levels[-1]
        return Polyline(self.points, tuple(levels))


def points_from(text: str) -> PercentPoints:
    """Points from text such as "0:0, 0.3:1, 0.7:0.5": position and strength, separated by commas.

    Raises:
        ValueError: the text is not of this form, or its points are not points of a schedule.
    """
    return PercentPoints(pairs_from(text, "strength", EXAMPLE))


def pairs_from(text: str, what: str, example: str) -> tuple[tuple[float, float], ...]:
    """Pairs of a position and a number from text, separated by commas or lines.

    Arguments:
        text: such as "0:0.95, 0.2:0.5".
        what: name of the number, for messages.
        example: shown in messages.

    Raises:
        ValueError: a part is not of this form.
    """
    parts = [part.strip() for part in text.replace("\n", ",").split(",")]
    return tuple(_pair(part, what, example) for part in parts if part)


def _pair(part: str, what: str, example: str) -> tuple[float, float]:
    try:
        percent, number = (float(number) for number in part.split(":"))
    except ValueError:
        raise ValueError(
            f"each point must be position:{what}, such as {example}; got '{part}'"
        ) from None
    return percent, number


def _between(percent: float, points: tuple[tuple[float, float], ...]) -> float:
    """Height of the lines at a percent between the first point and the last."""
    for (left, low), (right, high) in pairwise(points):
        if percent <= right and right > left:
            return low + (high - low) * max(percent - left, 0.0) / (right - left)
    return points[-1][1]
