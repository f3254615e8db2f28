"""What guidance_core computes, as JSON: what the widgets' own mathematics must agree with.

.venv/bin/python -m tests.js.truth < questions.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import torch

from guidance_core.attention.words import Word
from guidance_core.energies.box import Box
from guidance_core.schedules import PercentPoints, PercentWindow, points_from
from guidance_core.schedules.windows import position_among


def windows(cases: Sequence[tuple[float, float, str]], percents: Sequence[float]):
    """Strength of each window at each percentage."""
    # Noise that falls by 10 a run: a percentage is a noise level.
    made = [PercentWindow(*case).on(lambda percent: 10 * (1 - percent)) for case in cases]
    return [[window(10 * (1 - percent)) for percent in percents] for window in made]


def points(text: str) -> list[tuple[float, float]] | None:
    """Points of a text; None where it is refused."""
    try:
        return list(points_from(text).points)
    except ValueError:
        return None


def heights(pairs: Sequence[tuple[float, float]], percents: Sequence[float]) -> list[float]:
    """Strength of points at each percentage."""
    line = PercentPoints(tuple(map(tuple, pairs))).on(lambda percent: 10 * (1 - percent))
    return [line(10 * (1 - percent)) for percent in percents]


def covered(box: Sequence[float], angle: float, height: int, width: int) -> list[list[float]]:
    """Fraction of each cell of an image that a turned box covers."""
    energy = Box((Word("a", (1,)),), tuple(box), angle=angle)
    return energy.covered(torch.zeros(height, width, dtype=torch.float64)).tolist()


def progress(sigmas: Sequence[float], knots: Sequence[float]) -> list[float]:
    """Where noise levels lie among falling ones, in [0, 1]."""
    return [position_among(sigma, tuple(knots)) for sigma in sigmas]


ANSWERS = {
    "windows": windows,
    "points": lambda texts: [points(text) for text in texts],
    "heights": heights,
    "covered": covered,
    "progress": progress,
}


def main() -> None:
    questions = json.load(sys.stdin)
    json.dump([ANSWERS[name](*arguments) for name, *arguments in questions], sys.stdout)


if __name__ == "__main__":
    main()
