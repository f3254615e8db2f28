"""Values that move along a video: boxes and points at keyframes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

Values = tuple[float, ...]


@dataclass(frozen=True)
class Keyframes:
    """Values at some times of a video, in a straight line between two of them.

    Before the first and after the last they stay what they are there.

    Arguments:
        points: pairs (time, values), at least one; times rise from 0, the first frame, to 1, the
            last.

    Raises:
        ValueError: no points, times that do not rise or leave [0, 1], or values of several lengths.
    """

    points: tuple[tuple[float, Values], ...]

    def __post_init__(self) -> None:
        if not self.points:
            raise ValueError("need at least one keyframe, got none")
        times = [time for time, _ in self.points]
        if not all(0 <= time <= 1 for time in times):
            raise ValueError(
                f"times of keyframes lie in [0, 1], 0 is the first frame and 1 the last, "
                f"got {numbers(times)}"
            )
        if any(later <= time for time, later in itertools.pairwise(times)):
            raise ValueError(f"times of keyframes must rise, got {numbers(times)}")
        if len({len(values) for _, values in self.points}) > 1:
            raise ValueError("every keyframe needs as many numbers as the others")

    def at(self, time: float) -> Values:
        """The values at a time in [0, 1]."""
        for (start, first), (end, second) in itertools.pairwise(self.points):
            if start <= time <= end:
                part = (time - start) / (end - start)
                pairs = zip(first, second, strict=True)
                return tuple(one + part * (other - one) for one, other in pairs)
        return self.points[0][1] if time < self.points[0][0] else self.points[-1][1]


def numbers(values: Sequence[float]) -> str:
    """Numbers for messages, such as "0.1, 0.5"."""
    return ", ".join(f"{value:g}" for value in values)


def positions_in(values: Values | Keyframes) -> list[Values]:
    """The values themselves, or those of every keyframe."""
    return [there for _, there in values.points] if isinstance(values, Keyframes) else [values]


def along(values: Values | Keyframes, frames: int) -> list[Values]:
    """Values at each frame; those that do not move are the same at all."""
    if not isinstance(values, Keyframes):
        return [values] * frames
    return [values.at(frame / max(1, frames - 1)) for frame in range(frames)]
