"""The curve on the schedule node, and the plain text that it writes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from guidance_core.schedules import PercentWindow, points_from
from tests.web.desk import Desk
from tests.web.test_monitor import LEVELS, row, show

PLOT = ".eg-schedule-plot"


def points(desk: Desk, node: int) -> list[tuple[float, float]]:
    return list(points_from(desk.values(node)["points"]).points)


def drag(desk: Desk, index: int, right: float, down: float) -> None:
    """Drag a point by pixels."""
    desk.drag(f'.eg-schedule [data-index="{index}"]', right, down)


def added(desk: Desk, **values: float | str) -> int:
    node = desk.add("EGSchedule", **values)
    desk.rest(PLOT)
    return node


@pytest.mark.frontends
def test_dragging_a_point_writes_the_text_and_changes_the_schedule(desk: Desk) -> None:
    node = added(desk, points="0:1, 0.4:1, 0.8:0")
    wide = desk.find(PLOT).bounding_box()["width"] - 38
    drag(desk, 1, 30, 20)
    # On the grid of 0.01, by as far as the pointer went.
    desk.comes(lambda: points(desk, node)[1][0], pytest.approx(round(0.4 + 30 / wide, 2), abs=0.01))
    (first, moved, last) = points(desk, node)
    assert (first, last) == ((0, 1), (0.8, 0))
    assert moved[1] < 1
    assert moved[0] == round(moved[0], 2)
    # Never past a neighbour.
    drag(desk, 1, 500, 0)
    desk.comes(lambda: points(desk, node)[1][0], 0.8)


def test_an_end_of_the_window_moves_its_number_and_draws_no_points(desk: Desk) -> None:
    node = added(desk, start_percent=0.0, end_percent=0.7)
    drag(desk, 1, -40, 0)
    desk.until("id => app.graph.getNodeById(id).widgets[1].value < 0.7", node)
    values = desk.values(node)
    assert 0.3 < values["end_percent"] < 0.7
    assert (values["start_percent"], values["points"]) == (0.0, "")


def test_a_click_adds_a_point_keys_move_it_and_delete_removes_it(desk: Desk) -> None:
    node = added(desk)
    (box,) = desk.rest(PLOT)
    desk.page.mouse.click(box["x"] + 100, box["y"] + 70)
    desk.comes(lambda: len(points(desk, node)), 3)
    x, y = points(desk, node)[1]
    held = desk.find('.eg-schedule [data-index="1"]')
    expect(held).to_be_focused()
    held.press("ArrowRight")
    held.press("Shift+ArrowDown")
    desk.comes(lambda: points(desk, node)[1], pytest.approx((x + 0.01, max(y - 0.1, 0))))
    expect(held).to_be_focused()
    held.press("Delete")
    desk.comes(lambda: len(points(desk, node)), 2)


@pytest.mark.parametrize("curve", ["constant", "linear_down", "linear_up", "cosine"])
def test_the_browser_draws_the_windows_that_guidance_uses(desk: Desk, curve: str) -> None:
    drawn = desk.run(
        """async curve => {
            const data = await import("/extensions/energy-guidance/schedule_data.js");
            return data.windowPoints(0.1, 0.7, curve);
        }""",
        curve,
    )
    window = PercentWindow(0.1, 0.7, curve).on(lambda percent: 10 * (1 - percent))
    for percent, strength in drawn[:-1]:
        assert window(10 * (1 - percent)) == pytest.approx(strength, abs=1e-6)


@pytest.mark.parametrize(
    "text", ["0:1", "0:1, x", "0:1:2, 1:1", "0.5:1, 0.2:1", "0:1, 2:1", "0:, 1:1"]
)
def test_both_sides_refuse_the_same_text(desk: Desk, text: str) -> None:
    with pytest.raises(ValueError, match="point"):
        points_from(text)
    desk.add("EGSchedule", points=text)
    desk.find('.eg-schedule [role="alert"]').wait_for(state="attached")


def test_presets_are_curves_that_both_sides_understand(desk: Desk) -> None:
    node = added(desk, start_percent=0.1, end_percent=0.6)
    before = ""
    for name in ("bell", "late", "steps"):
        desk.find(".eg-schedule .eg-chip", has_text=name).click()
        desk.until(
            "([id, was]) => app.graph.getNodeById(id).widgets[3].value !== was", [node, before]
        )
        before = desk.values(node)["points"]
        assert (points(desk, node)[0][0], points(desk, node)[-1][0]) == (0.1, 0.6)
    desk.find(".eg-schedule .eg-chip", has_text="down").click()
    down = {"start_percent": 0.1, "end_percent": 0.6, "curve": "linear_down", "points": ""}
    desk.comes(lambda: desk.values(node), down)


def test_noise_levels_and_steps_of_the_last_run_stand_below(desk: Desk) -> None:
    show(desk, [row(0)])
    added(desk)
    expect(desk.find(".eg-schedule .eg-step")).to_have_count(len(LEVELS) - 1)
    expect(desk.find(".eg-schedule .eg-sigma").first).to_have_text(re.compile(" 14$"))


def test_a_workflow_without_the_text_opens_and_one_with_it_keeps_it(desk: Desk) -> None:
    desk.add("EGSchedule", end_percent=0.6, points="0:0, 0.5:1")
    saved = desk.saved()
    assert saved["nodes"][0]["widgets_values"] == [0.0, 0.6, "constant", "0:0, 0.5:1"]
    desk.open(saved)
    kept = saved["nodes"][0]["widgets_values"]
    desk.comes(lambda: desk.saved()["nodes"][0]["widgets_values"], kept)
    old = saved
    old["nodes"][0]["widgets_values"] = [0.2, 0.6, "cosine"]
    old["nodes"][0]["inputs"] = []
    desk.open(old)
    values = {"start_percent": 0.2, "end_percent": 0.6, "curve": "cosine", "points": ""}
    desk.comes(lambda: desk.values(saved["nodes"][0]["id"]), values)


def test_what_a_drawn_curve_replaces_is_greyed_out(desk: Desk) -> None:
    node = desk.add("EGSchedule")
    greyed = """id => app.graph.getNodeById(id).widgets
        .filter(({ disabled }) => disabled).map(({ name }) => name)"""
    desk.rest(".eg-schedule-plot")
    assert desk.run(greyed, node) == []
    desk.find(".eg-chip", has_text="bell").click()
    desk.comes(lambda: desk.run(greyed, node), ["start_percent", "end_percent", "curve"])
    desk.find(".eg-chip", has_text="flat").click()
    desk.comes(lambda: desk.run(greyed, node), [])
