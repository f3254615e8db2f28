"""The rules that a search tries: one for each of its points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...guidance_core.procedures import search_spaces
from ...guidance_core.procedures.beam_search import Point, Search, Trial, Trials
from ...guidance_core.requirements import requirements_of
from ...guidance_core.rules.forward import Forward
from ...guidance_core.rules.unified import Unified
from ...guidance_core.schedules import PercentWindow, Scaled
from ..host import tune
from ..inputs.rule import DEFAULT_WINDOW, timed

Ranked = list[tuple[Point, float]]


@dataclass(frozen=True, eq=False)
class Candidates:
    """The rules of a search.

    Arguments:
        kind: strength (strength and end of Rule: Forward) or unified (sizes of Rule: Unified).
        energy: what the rules follow.
        schedule: when they act, None for that of the search.
        search: which points to try.
    """

    kind: str
    energy: Any
    schedule: Any
    search: Search

    def rule(self, settings: dict[str, float]) -> Any:
        """Return the rule of some settings."""
        if self.kind == "unified":
            sizes = search_spaces.unified_settings(settings)
            return Unified(self.energy, timed(1.0, self.schedule), **sizes)
        end = settings.get("end", DEFAULT_WINDOW.end_percent)
        window = PercentWindow(0.0, end) if self.schedule is None else self.schedule
        return Forward(self.energy, Scaled(window, settings["strength"]))

    def ranked(self, trying: tune.Trying, trials: Trials, seeds: Sequence[int]) -> Ranked:
        """Try the points, and return each with its score, the best first.

        Arguments:
            trying: how a rule is tried.
            trials: keeps what each trial gave.
            seeds: what every point is tried with.
        """

        def value(trial: Trial, callback: Callable) -> float:
            settings = self.search.settings_of(trial[0])
            again = recurrences_of(settings)
            return trying.value(self.rule(settings), trial[1], again, DEFAULT_WINDOW, callback)

        measure = tune.measured(value, self.search.most * len(seeds))
        return self.search.run(lambda points: trials.scores(points, seeds, measure))


def recurrences_of(settings: dict[str, float]) -> int:
    """Return how often each step is taken under some settings."""
    return int(settings.get("recurrences", 1))


def candidates_for(
    kind: str, energy: Any, schedule: Any, recurrences: int, width: int, rounds: int
) -> Candidates:
    """Return what to search for an energy.

    Arguments:
        kind: strength or unified.
        energy: what the rules follow; one that reads attention has fewer settings.
        schedule: when they act, None to search that too.
        recurrences: most recurrences to try.
        width: candidates kept after each round.
        rounds: rounds at most.
    """
    found = search_spaces.coordinates(
        kind,
        at_estimate=not requirements_of([energy]).not_of_estimate,
        recurrences=recurrences,
        timed=schedule is not None,
    )
    return Candidates(kind, energy, schedule, Search(found, width, rounds))
