"""Energies to be reached at some steps of a run, before the step is taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .points import pairs_from

EXAMPLE = "0:0.95, 0.2:0.5, 0.4:0.2"
ROUNDING = 1e-5  # a level that single precision rounded is still itself


@dataclass(frozen=True)
class Thresholds:
    """Energies to be reached, each at the first step from its noise level on.

    Arguments:
        points: pairs (noise level, energy).
    """

    points: tuple[tuple[float, float], ...]

    def at(self, sigma: float, sigmas: Sequence[float]) -> float | None:
        """The energy to be reached at a noise level of a run of `sigmas`; None where none is.

        The lowest, where one step is the first from several levels on.
        """
        there = [energy for level, energy in self.points if self._begins(level, sigma, sigmas)]
        return min(there, default=None)

    def _begins(self, level: float, sigma: float, sigmas: Sequence[float]) -> bool:
        under = [step for step in sigmas if step <= level * (1 + ROUNDING)]
        return bool(under) and math.isclose(max(under), sigma, rel_tol=ROUNDING)


@dataclass(frozen=True)
class PercentThresholds:
    """Energies to be reached in the host's percentages, before noise levels are known.

    `compose.with_noise_levels` turns it into Thresholds.

    Arguments:
        points: pairs (percent, energy), at least one; percents in [0, 1), energies finite.

    Raises:
        ValueError: points that are none of this.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError(f"thresholds need at least one position:energy, such as {EXAMPLE}")
        for percent, energy in self.points:
            if not 0 <= percent < 1:
                raise ValueError(
                    f"positions of thresholds must lie in [0, 1), got {percent:g}: 0 is pure noise"
                )
            if not math.isfinite(energy):
                raise ValueError(f"thresholds must be finite, got {energy:g}")

    def at(self, sigma: float, sigmas: Sequence[float]) -> float | None:
        """Refuse: percentages are not noise levels."""
        raise TypeError(
            "PercentThresholds know no noise levels: use compose.with_noise_levels first"
        )

    def on(self, percent_to_sigma: Callable[[float], float]) -> Thresholds:
        """The same on a model's noise levels; 0 is the first step of any run."""
        level = lambda percent: math.inf if percent == 0 else float(percent_to_sigma(percent))
        return Thresholds(tuple((level(percent), energy) for percent, energy in self.points))


def thresholds_from(text: str) -> PercentThresholds | None:
    """Thresholds from text such as "0:0.95, 0.2:0.5": position and energy; None from no text.

    Raises:
        ValueError: the text is not of this form, or its numbers are out of their range.
    """
    return PercentThresholds(pairs_from(text, "energy", EXAMPLE)) if text.strip() else None
