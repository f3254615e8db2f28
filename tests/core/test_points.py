"""Strengths drawn by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidance_core.compose import with_noise_levels
from guidance_core.schedules import PercentPoints, PercentWindow, Polyline, Scaled, points_from


def linear(percent: float) -> float:
    return 10.0 * (1 - percent)


def at(text: str, percent: float) -> float:
    return points_from(text).on(linear)(linear(percent))


def test_lines_run_straight_from_point_to_point():
    text = "0.2:0, 0.4:1, 0.8:0.5"
    for percent, strength in ((0.2, 0), (0.3, 0.5), (0.4, 1), (0.6, 0.75), (0.79, 0.5125)):
        assert at(text, percent) == pytest.approx(strength, abs=1e-6)


def test_outside_the_points_nothing_is_done():
    course = points_from("0.2:1, 0.8:1").on(linear)
    assert [course(linear(p)) for p in (0, 0.19, 0.2, 0.5, 0.79, 0.8, 1)] == [0, 0, 1, 1, 1, 0, 0]


def test_ends_reach_up_to_any_noise_and_down_to_none():
    course = points_from("0:1, 1:1").on(linear)
    assert [course(s) for s in (math.inf, 1e9, 10, 1e-9, 0)] == [1, 1, 1, 1, 0]


def test_two_points_at_one_position_are_a_jump():
    text = "0:0.2, 0.5:0.2, 0.5:1, 1:1"
    assert (at(text, 0.499), at(text, 0.501)) == pytest.approx((0.2, 1))


@pytest.mark.parametrize("curve", ["constant", "linear_down", "linear_up"])
def test_a_window_drawn_as_points_is_that_window(curve):
    high, low = {"constant": (1, 1), "linear_down": (1, 0), "linear_up": (0, 1)}[curve]
    drawn = points_from(f"0.1:{high}, 0.7:{low}").on(linear)
    window = PercentWindow(0.1, 0.7, curve).on(linear)
    for percent in (0, 0.1, 0.25, 0.5, 0.69, 0.7, 0.9):
        assert drawn(linear(percent)) == pytest.approx(window(linear(percent)), abs=1e-9)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 5)), min_size=2, max_size=6),
    st.floats(0, 1),
)
def test_strengths_stay_between_those_of_the_points(points, percent):
    points = sorted(points, key=lambda point: point[0])
    if points[0][0] == points[-1][0]:
        return
    value = PercentPoints(tuple(points)).on(linear)(linear(percent))
    highest = max(strength for _, strength in points)
    assert 0 <= value <= highest * (1 + 1e-9)


def test_text_may_have_line_breaks_spaces_and_a_closing_comma():
    assert points_from(" 0 : 1\n0.5:.5 ,1:0,\n").points == ((0, 1), (0.5, 0.5), (1, 0))


def test_points_are_resolved_wherever_they_lie():
    course = with_noise_levels(Scaled(points_from("0:1, 0.5:0"), 2.0), linear)
    assert isinstance(course.schedule, Polyline)
    assert course(linear(0.25)) == pytest.approx(1)
    with pytest.raises(TypeError, match=r"compose\.with_noise_levels"):
        points_from("0:1, 0.5:0")(1.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0:1", "at least two"),
        ("0:1, 0.5", "position:strength, such as .*got '0.5'"),
        ("0:1, 0.5:high", "got '0.5:high'"),
        ("0:1, 0.5:1:2", "got '0.5:1:2'"),
        ("-0.1:1, 0.5:1", r"in \[0, 1\], got -0.1"),
        ("0:1, nan:1", r"in \[0, 1\], got nan"),
        ("0:1, 0.5:-1", "finite and >= 0, got -1"),
        ("0:1, 0.5:inf", "finite and >= 0, got inf"),
        ("0.5:1, 0.2:1", "from left to right, got 0.5 before 0.2"),
        ("0.5:1, 0.5:0", "not all have one position"),
    ],
)
def test_what_is_no_curve_is_refused_with_words(text, words):
    with pytest.raises(ValueError, match=words):
        points_from(text)
