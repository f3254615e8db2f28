"""The search for settings."""

from __future__ import annotations

import math

import pytest

from guidance_core.tuning import TFG, Coordinate, Search

PLANE = (Coordinate("rho", 0.25, 2.0, 8.0), Coordinate("mu", 0.25, 2.0, 8.0))


def hill(points):
    """Best at (2, 0.5)."""
    return [-(math.log2(rho / 2) ** 2) - math.log2(mu / 0.5) ** 2 for rho, mu in points]


def test_it_climbs_to_the_best_settings():
    ranked = Search(PLANE).run(hill)
    assert ranked[0] == ((2.0, 0.5), 0.0)
    assert [value for _, value in ranked] == sorted((v for _, v in ranked), reverse=True)


def test_every_round_moves_one_coordinate_and_stops_at_the_cap():
    search = Search((Coordinate("rho", 1.0, 2.0, 3.0), Coordinate("mu", 1.0, 10.0, 1.0)))
    assert search.moves((1.0, 1.0)) == [(2.0, 1.0)]
    assert search.moves((2.0, 1.0)) == [(3.0, 1.0)]
    assert search.moves((3.0, 1.0)) == []


def test_nothing_is_scored_twice_and_a_stopped_search_goes_on(tmp_path):
    path, asked = tmp_path / "tune.json", []

    def counted(points):
        asked.extend(points)
        if len(asked) > 5:
            raise KeyboardInterrupt
        return hill(points)

    search = Search(PLANE)
    with pytest.raises(KeyboardInterrupt):
        search.run(counted, lambda scores: search.save(path, scores))
    known = search.resumed(path).scores
    assert 0 < len(known) <= 5
    seen = []

    def rest(points):
        seen.extend(points)
        return hill(points)

    ranked = search.resumed(path).run(rest)
    assert ranked == Search(PLANE).run(hill)
    assert not set(seen) & set(known)
    assert len(seen) == len(set(seen))
    assert not list(tmp_path.glob("*.part"))


def test_scores_of_other_coordinates_are_not_taken(tmp_path):
    path = tmp_path / "tune.json"
    Search(PLANE).save(path, {(1.0, 1.0): 3.0})
    assert Search(TFG).resumed(path).scores is None
    assert Search(PLANE).resumed(path).scores == {(1.0, 1.0): 3.0}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Coordinate("rho", 0.0, 2.0, 1.0), "rho needs 0 < start <= cap"),
        (lambda: Coordinate("rho", 0.5, 1.0, 1.0), "factor > 1"),
        (lambda: Search(()), "a search needs coordinates"),
        (lambda: Search(width=0), "width >= 1"),
    ],
)
def test_bad_arguments_are_refused_at_once(make, words):
    with pytest.raises(ValueError, match=words):
        make()
