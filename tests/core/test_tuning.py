"""The search for settings."""

from __future__ import annotations

import json
import math

import pytest

from guidance_core.procedures import search_spaces
from guidance_core.procedures.beam_search import Coordinate, Search, Trials
from guidance_core.rules.unified import Unified
from guidance_core.schedules import Constant

PLANE = (Coordinate("rho", 0.25, 2.0, 8.0), Coordinate("mu", 0.25, 2.0, 8.0))
FACTS = {"names": ("rho", "mu"), "steps": 3}


def height(point):
    """Best at (2, 0.5)."""
    rho, mu = point
    return -(math.log2(rho / 2) ** 2) - math.log2(mu / 0.5) ** 2


def hill(points):
    return [height(point) for point in points]


def test_it_climbs_to_the_best_settings():
    ranked = Search(PLANE).run(hill)
    assert ranked[0] == ((2.0, 0.5), 0.0)
    assert [value for _, value in ranked] == sorted((v for _, v in ranked), reverse=True)
    assert Search(PLANE).settings_of(ranked[0][0]) == {"rho": 2.0, "mu": 0.5}


def test_every_round_moves_one_coordinate_and_stops_at_the_cap():
    search = Search((Coordinate("rho", 1.0, 2.0, 3.0), Coordinate("mu", 1.0, 10.0, 1.0)))
    assert search.moves((1.0, 1.0)) == [(2.0, 1.0)]
    assert search.moves((2.0, 1.0)) == [(3.0, 1.0)]
    assert search.moves((3.0, 1.0)) == []


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_it_asks_for_no_more_than_it_says(rounds):
    search = Search(PLANE, width=2, rounds=rounds)
    assert len(search.run(hill)) <= search.most
    if rounds == 1:
        assert len(search.run(hill)) == search.most == 3


def test_nothing_is_measured_twice_and_a_stopped_search_loses_no_trial(tmp_path):
    path, tried = tmp_path / "tune.json", []

    def until(limit):
        def measure(trials):
            for point, seed in trials:
                if len(tried) == limit:
                    raise KeyboardInterrupt
                tried.append((point, seed))
                yield (point, seed), height(point) + 0.01 * seed

        return measure

    def ranked(path, limit):
        trials = Trials(path, FACTS)
        return Search(PLANE).run(lambda points: trials.scores(points, (-1, 0, 1), until(limit)))

    with pytest.raises(KeyboardInterrupt):
        ranked(path, 4)
    assert len(Trials(path, FACTS).values) == 4
    found = ranked(path, math.inf)
    assert len(tried) == len(set(tried)) == 3 * len(found)
    assert found == ranked(tmp_path / "whole.json", math.inf)
    assert not list(tmp_path.glob("*.part"))


def test_trials_come_in_any_order_and_those_that_diverged_are_the_worst(tmp_path):
    path = tmp_path / "tune.json"
    trials = Trials(path, FACTS)
    backwards = lambda jobs: [(job, float(job[1])) for job in reversed(jobs)]
    assert trials.scores([(1.0, 2.0)], (1, 3), backwards) == [2.0]
    trials.add(((4.0, 2.0), 1), math.nan)
    again = Trials(path, FACTS)
    assert again.values == trials.values
    assert again.scores([(4.0, 2.0), (1.0, 2.0)], (1,), lambda jobs: []) == [-math.inf, 1.0]
    assert "Infinity" not in path.read_text(encoding="utf-8")


def test_trials_of_other_facts_are_not_taken_and_other_files_are_refused(tmp_path):
    path = tmp_path / "tune.json"
    Trials(path, FACTS).add(((1.0, 1.0), 0), 3.0)
    assert Trials(path, {**FACTS, "steps": 4}).values == {}
    assert Trials(path, FACTS).values == {((1.0, 1.0), 0): 3.0}
    for other in ("not json", "[1]", json.dumps({"facts": Trials(path, FACTS).facts})):
        path.write_text(other, encoding="utf-8")
        with pytest.raises(ValueError, match="is not a file of trials"):
            Trials(path, FACTS)


def test_what_is_searched_suits_the_energy():
    names = lambda *args, **kw: [c.name for c in search_spaces.coordinates(*args, **kw)]
    assert names("unified") == ["rho", "mu", "gamma", "recurrences"]
    assert names("unified", at_estimate=False, recurrences=1) == ["rho"]
    assert names("strength") == ["strength", "end", "recurrences"]
    assert names("strength", timed=True) == ["strength", "recurrences"]
    with pytest.raises(ValueError, match="search must be one of unified, strength"):
        search_spaces.coordinates("beam")


def test_settings_become_a_rule_and_its_widgets():
    energy = lambda estimate: estimate.x0.flatten(1).sum(1)
    rule = Unified(
        energy, Constant(), **search_spaces.unified_settings({"rho": 0.5, "mu": 2.0, "gamma": 0.1})
    )
    assert (rule.rho, rule.mu, rule.gamma, rule.samples) == (0.5, 2.0, 0.1, 1)
    assert search_spaces.unified_settings({"rho": 0.5}) == {
        "rho": 0.5,
        "mu": 0.0,
        "gamma": 0.0,
        "samples": 0,
    }
    inputs = search_spaces.widgets("strength", {"strength": 0.5, "end": 0.45})
    assert inputs == {"strength": 0.5, "scale": "relative", "stop": 0.0}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Coordinate("rho", 0.0, 2.0, 1.0), "rho needs 0 < start <= cap"),
        (lambda: Coordinate("rho", 0.5, 1.0, 1.0), "factor > 1"),
        (lambda: Search(()), "a search needs coordinates"),
        (lambda: Search(PLANE, width=0), "width >= 1"),
    ],
)
def test_bad_arguments_are_refused_at_once(make, words):
    with pytest.raises(ValueError, match=words):
        make()
