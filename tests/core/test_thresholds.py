"""Energies to be reached at some steps: their text, and the steps that they mean."""

from __future__ import annotations

import math

import pytest

from guidance_core.compose import with_noise_levels
from guidance_core.schedules import PercentThresholds, Thresholds, thresholds_from

LEVELS = (8.0, 4.0, 2.0, 1.0, 0.0)


def test_text_is_pairs_of_position_and_energy():
    assert thresholds_from("0:0.95, 0.2:-0.5\n0.4:0.2").points == (
        (0, 0.95),
        (0.2, -0.5),
        (0.4, 0.2),
    )
    assert thresholds_from(" ") is None


def test_positions_become_noise_levels_and_0_is_the_first_step():
    found = with_noise_levels(thresholds_from("0:0.9, 0.5:0.2"), lambda percent: 8 - 8 * percent)
    assert found == Thresholds(((math.inf, 0.9), (4.0, 0.2)))


def test_a_threshold_is_of_the_first_step_from_its_level_on():
    asked = Thresholds(((math.inf, 0.9), (3.0, 0.5), (2.5, 0.4)))
    assert [asked.at(level, LEVELS) for level in LEVELS] == [0.9, None, 0.4, None, None]
    # What a sampler evaluates between two levels is no step of its own.
    assert asked.at(1.5, LEVELS) is None
    # A level below all steps is of none but the last, 0, where nothing is evaluated.
    assert Thresholds(((0.5, 0.1),)).at(1.0, LEVELS) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.5", "each point must be position:energy"),
        ("1:0.2", "must lie in"),
        ("0.5:nan", "must be finite"),
    ],
)
def test_other_text_is_refused_with_what_to_write(text, words):
    with pytest.raises(ValueError, match=words):
        thresholds_from(text)


def test_none_and_percentages_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        PercentThresholds(())
    with pytest.raises(TypeError, match="with_noise_levels"):
        thresholds_from("0:1").at(1.0, LEVELS)
