"""Find settings of a rule by a beam search, on a few seeds.

References:
    TFG, Ye et al. 2024, arXiv:2409.15761, and its code: every round multiplies one coordinate of
    each candidate and keeps the best few. Deviates: what was measured once is not measured again,
    and the search may be stopped in the midst of a round and taken up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Point = tuple[float, ...]
# A point, and the seed that it is tried with.
Trial = tuple[Point, int]
Measure = Callable[[list[Trial]], Iterable[tuple[Trial, float]]]


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


@dataclass(frozen=True)
class Search:
    """A beam search.

    Arguments:
        coordinates: settings, at least one.
        width: candidates kept after each round (TFG: 2 to 3).
        rounds: rounds at most (TFG: 6 to 8); it ends earlier when no candidate moves up.
    """

    coordinates: tuple[Coordinate, ...]
    width: int = 2
    rounds: int = 6

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

    @property
    def most(self) -> int:
        """How many points it scores at most."""
        return 1 + len(self.coordinates) * (1 + self.width * (self.rounds - 1))

    def moves(self, point: Point) -> list[Point]:
        """Every point with one coordinate one move up, as far as its cap allows."""
        moved = []
        for index, (value, coordinate) in enumerate(zip(point, self.coordinates, strict=True)):
            up = min(value * coordinate.factor, coordinate.cap)
            if up > value:
                moved.append((*point[:index], up, *point[index + 1 :]))
        return moved

    def settings_of(self, point: Point) -> dict[str, float]:
        """The settings of a point by name."""
        return {c.name: value for c, value in zip(self.coordinates, point, strict=True)}

    def run(self, score: Callable[[Sequence[Point]], Sequence[float]]) -> list[tuple[Point, float]]:
        """Every scored point with its score, the best first.

        Arguments:
            score: scores of points, higher is better; called with new points only.
        """
        known: dict[Point, float] = {}

        def ranked(points: Sequence[Point]) -> list[Point]:
            fresh = [p for p in dict.fromkeys(points) if p not in known]
            if fresh:
                known.update(zip(fresh, score(fresh), strict=True))
            return sorted(dict.fromkeys(points), key=lambda p: -known[p])[: self.width]

        beam = ranked([self.first])
        for _ in range(self.rounds):
            following = ranked([*beam, *(up for point in beam for up in self.moves(point))])
            if following == beam:
                break
            beam = following
        return sorted(known.items(), key=lambda item: -item[1])


class Trials:
    """What single trials gave, written down one by one: a search that is stopped loses none.

    Arguments:
        path: JSON file, always whole; taken up where it is of the same facts, else begun anew.
        facts: what the values depend on besides point and seed, as JSON has it.
    """

    def __init__(self, path: Path, facts: Mapping[str, object]) -> None:
        self.path, self.facts = path, json.loads(json.dumps(facts))
        self.values = self._read()

    def _read(self) -> dict[Trial, float]:
        if not self.path.exists():
            return {}
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            trials = found["trials"] if found["facts"] == self.facts else []
            return {(tuple(p), seed): -math.inf if v is None else v for p, seed, v in trials}
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{self.path.name} is not a file of trials: move it away, or choose another name"
            ) from None

    def add(self, trial: Trial, value: float) -> None:
        """Note a value, higher is better; one that is not finite is the worst."""
        self.values[trial] = value if math.isfinite(value) else -math.inf
        rows = [
            [list(point), seed, found if math.isfinite(found) else None]
            for (point, seed), found in self.values.items()
        ]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        half = self.path.with_suffix(".part")
        text = json.dumps({"facts": self.facts, "trials": rows})
        half.write_text(text + "\n", encoding="utf-8")
        half.replace(self.path)

    def scores(
        self, points: Sequence[Point], seeds: Sequence[int], measure: Measure
    ) -> list[float]:
        """Mean value of each point over the seeds; only what is missing is measured.

        Arguments:
            points: which points.
            seeds: seeds that each is tried with, at least one.
            measure: gives trials with their values, in any order.
        """
        missing = [(p, s) for p in points for s in seeds if (p, s) not in self.values]
        for trial, value in measure(missing) if missing else ():
            self.add(trial, value)
        return [sum(self.values[p, s] for s in seeds) / len(seeds) for p in points]
