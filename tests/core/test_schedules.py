"""Edges, curves and percentages of strength schedules."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidance_core.schedules import CURVES, Constant, PercentWindow, Scaled, Window


def linear(percent: float) -> float:
    return 14.0 * (1 - percent)


def test_a_window_holds_its_start_and_not_its_end():
    window = Window(4.0, 1.0, value=0.5)
    assert [window(s) for s in (4.0001, 4.0, 2.0, 1.0001, 1.0, 0.0)] == [0, 0.5, 0.5, 0.5, 0, 0]


def test_percent_zero_reaches_up_to_anything_and_percent_one_down_to_zero():
    whole = PercentWindow().on(linear)
    assert [whole(s) for s in (math.inf, 1e9, 14, 1e-9, 0)] == [1, 1, 1, 1, 0]
    assert (whole.sigma_start, whole.sigma_end) == (math.inf, 0)


def test_percent_windows_meet_without_gap_or_overlap():
    first, second = PercentWindow(0, 0.5).on(linear), PercentWindow(0.5, 1).on(linear)
    for sigma in (20, 14, 7.001, 7.0, 6.999, 0.01):
        assert first(sigma) + second(sigma) == 1


COURSES = {
    "constant": lambda part: 1.0,
    "linear_down": lambda part: 1 - part,
    "linear_up": lambda part: part,
    "cosine": lambda part: math.cos(math.pi * part / 2) ** 2,
}


def test_every_curve_goes_as_it_is_called():
    assert CURVES.keys() == COURSES.keys()
    for name, course in COURSES.items():
        for part in (0.0, 0.2, 0.5, 0.9, 1.0):
            assert CURVES[name](part) == pytest.approx(course(part), abs=1e-12)


@pytest.mark.parametrize("curve", ["linear_down", "linear_up", "cosine"])
@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (0.1, 0.8)])
def test_progress_is_linear_in_percent(curve, start, end):
    window = PercentWindow(start, end, curve, 2.0).on(lambda p: 14 * (1 - p) ** 3)
    for part in (0.1, 0.31, 0.5, 0.9):
        sigma = 14 * (1 - start - (end - start) * part) ** 3
        assert window(sigma) == pytest.approx(2 * COURSES[curve](part), abs=0.02)


def test_curves_of_a_window_without_knots_use_the_angle_of_the_noise():
    window = Window(math.inf, 0.0, "linear_down")
    assert window(1.0) == pytest.approx(0.5)
    assert window(math.tan(0.1)) == pytest.approx(0.1 / (math.pi / 2))


@given(
    curve=st.sampled_from(sorted(CURVES)),
    start=st.floats(0, 0.9),
    span=st.floats(0.05, 1),
    sigmas=st.tuples(st.floats(0, 20), st.floats(0, 20)),
)
def test_curves_are_monotone_and_bounded_inside_their_window(curve, start, span, sigmas):
    window = PercentWindow(start, min(start + span, 1.0), curve).on(linear)
    high, low = max(sigmas), min(sigmas)
    early, late = window(high), window(low)
    assert 0 <= early <= 1
    inside = window.sigma_end < low and high <= window.sigma_start
    if inside and curve in ("linear_down", "cosine"):
        assert early >= late - 1e-12
    if inside and curve == "linear_up":
        assert early <= late + 1e-12


def test_progress_is_known_at_the_knots_and_straight_between():
    window = Window(8.0, 1.0, "linear_up", knots=(8.0, 4.0, 2.0, 1.0))
    expected = {8.0: 0, 6.0: 1 / 6, 4.0: 1 / 3, 2.5: 1 / 3 + 0.25, 2.0: 2 / 3, 1.5: 5 / 6}
    for sigma, strength in expected.items():
        assert window(sigma) == pytest.approx(strength, abs=1e-12)
    reaching = Window(math.inf, 0.0, "linear_up", knots=(math.inf, 4.0, 0.0))
    assert [reaching(sigma) for sigma in (1e9, 4.0, 1.0)] == [0.5, 0.5, 0.875]


def test_a_window_between_two_levels_has_its_progress_in_the_angle_of_the_noise():
    window = Window(math.tan(1.2), math.tan(0.2), "linear_down", 3.0)
    for angle in (1.2, 0.9, 0.5, 0.3):
        assert window(math.tan(angle)) == pytest.approx(3 * (angle - 0.2), abs=1e-9)


def test_a_flat_stretch_of_noise_levels_does_not_divide_by_zero():
    window = PercentWindow(0.1, 0.9, "linear_down").on(lambda p: 5.0 if p < 0.5 else 1.0)
    assert window(5.0) == pytest.approx(0.5, abs=0.02)
    assert 0 <= window(3.0) <= 1


def test_scaled_multiplies_and_skips():
    assert Scaled(Constant(2.0), 0.5)(1.0) == 1
    assert Scaled(PercentWindow(), 0.0)(1.0) == 0


def test_a_percent_window_does_not_pretend_to_know_noise_levels():
    with pytest.raises(TypeError, match=r"compose\.with_noise_levels"):
        PercentWindow()(1.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PercentWindow(-0.1, 0.5), "got -0.1 and 0.5"),
        (lambda: PercentWindow(0.2, 1.1), "got 0.2 and 1.1"),
        (lambda: PercentWindow(0.7, 0.7), "start_percent < end_percent"),
        (lambda: PercentWindow(0.7, 0.2), "start_percent < end_percent"),
        (lambda: PercentWindow(math.nan, 0.2), "start_percent < end_percent"),
        (lambda: PercentWindow(curve="wavy"), "curve must be one of constant, .*got 'wavy'"),
        (lambda: Window(1.0, 2.0), "sigma_end < sigma_start, got 2.0 and 1.0"),
        (lambda: Window(1.0, -1.0), "0 <= sigma_end"),
        (lambda: Window(3.0, 0.0, knots=(1.0, 2.0)), "knots must fall"),
        (lambda: Constant(-0.3), "strength must be a finite number >= 0, got -0.3"),
        (lambda: Constant(math.nan), "finite number"),
        (lambda: Scaled(Constant(), math.inf), "finite number"),
    ],
)
def test_out_of_range_schedules_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
