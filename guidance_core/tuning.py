"""Find settings of a rule by a beam search, on a few seeds.

References:
    TFG, Ye et al. 2024, arXiv:2409.15761, and its code: every round multiplies one coordinate of
    each candidate and keeps the best few. Deviates: settings that were scored once are not scored
    again, and the search may be stopped and taken up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

Point = tuple[float, ...]


@dataclass(frozen=True)
class Coordinate:
    """One setting that is searched.

    Arguments:
        name: what it is called.
        start: first value, > 0.
        factor: what a move multiplies it by, > 1.
        cap: largest value, >= start.

    Raises:
        ValueError: a value outside its range.
    """

    name: str
    start: float
    factor: float
    cap: float

    def __post_init__(self) -> None:
        if not (0 < self.start <= self.cap and self.factor > 1):
            raise ValueError(
                f"{self.name} needs 0 < start <= cap and factor > 1, got start {self.start}, "
                f"factor {self.factor}, cap {self.cap}"
            )


# The search of TFG's code; pushes in the relative scale, where 0.25 is gentle and 2 burns.
TFG = (
    Coordinate("rho", 0.25, 2.0, 2.0),
    Coordinate("mu", 0.25, 2.0, 2.0),
    Coordinate("gamma", 0.001, 10.0, 1.0),
    Coordinate("recurrences", 1.0, 2.0, 4.0),
)


@dataclass(frozen=True)
class Search:
    """A beam search.

    Arguments:
        coordinates: settings, at least one.
        width: candidates kept after each round (TFG: 2 to 3).
        rounds: rounds at most (TFG: 6 to 8); it ends earlier when no candidate moves up.
        scores: what is known already.
    """

    coordinates: tuple[Coordinate, ...] = TFG
    width: int = 2
    rounds: int = 6
    scores: Mapping[Point, float] | None = None

    def __post_init__(self) -> None:
        if not self.coordinates or self.width < 1 or self.rounds < 1:
            raise ValueError(
                "a search needs coordinates, width >= 1 and rounds >= 1, got "
                f"{len(self.coordinates)}, {self.width} and {self.rounds}"
            )

    @property
    def first(self) -> Point:
        """Where it starts."""
        return tuple(coordinate.start for coordinate in self.coordinates)

    def moves(self, point: Point) -> list[Point]:
        """Every point with one coordinate one move up, as far as its cap allows."""
        moved = []
        for index, (value, coordinate) in enumerate(zip(point, self.coordinates, strict=True)):
            up = min(value * coordinate.factor, coordinate.cap)
            if up > value:
                moved.append((*point[:index], up, *point[index + 1 :]))
        return moved

    def run(
        self,
        score: Callable[[Sequence[Point]], Sequence[float]],
        remember: Callable[[Mapping[Point, float]], None] = lambda scores: None,
    ) -> list[tuple[Point, float]]:
        """Every scored point with its score, the best first.

        Arguments:
            score: scores of points, higher is better; called with new points only.
            remember: told all scores after each call of `score`.
        """
        known = dict(self.scores or {})

        def ranked(points: Sequence[Point]) -> list[Point]:
            fresh = [p for p in dict.fromkeys(points) if p not in known]
            if fresh:
                known.update(zip(fresh, score(fresh), strict=True))
                remember(known)
            return sorted(dict.fromkeys(points), key=lambda p: -known[p])[: self.width]

        beam = ranked([self.first])
        for _ in range(self.rounds):
            following = ranked([*beam, *(up for point in beam for up in self.moves(point))])
            if following == beam:
                break
            beam = following
        return sorted(known.items(), key=lambda item: -item[1])

    def resumed(self, path: Path) -> Search:
        """The same search with the scores that `save` left, if it did for these coordinates."""
        if not path.exists():
            return self
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["names"] != [coordinate.name for coordinate in self.coordinates]:
            return self
        return replace(self, scores={tuple(point): value for point, value in found["scores"]})

    def save(self, path: Path, scores: Mapping[Point, float]) -> None:
        """Write scores whole or not at all."""
        names = [coordinate.name for coordinate in self.coordinates]
        ranked = sorted(scores.items(), key=lambda item: -item[1])
        report = {"names": names, "scores": [[list(point), value] for point, value in ranked]}
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part")
        half.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        half.replace(path)
