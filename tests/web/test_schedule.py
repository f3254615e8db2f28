"""The curve on the schedule node, and the plain text that it writes."""

from __future__ import annotations

import pytest

from guidance_core.points import parsed
from guidance_core.schedules import PercentWindow
from tests.web.desk import Desk
from tests.web.test_monitor import LEVELS, show

PLOT = ".eg-schedule-plot"


def points(desk: Desk, node: int) -> list[tuple[float, float]]:
    return list(parsed(desk.values(node)["points"]).points)


def drag(desk: Desk, index: int, right: float, down: float) -> None:
    box = desk.find(f'.eg-schedule [data-index="{index}"]').bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = desk.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + right / 2, y + down / 2)
    mouse.move(x + right, y + down)
    mouse.up()


def test_dragging_a_point_writes_the_text_and_changes_the_schedule(desk: Desk) -> None:
    node = desk.add("EGSchedule", points="0:1, 0.4:1, 0.8:0")
    desk.find(PLOT).wait_for()
    desk.run("() => app.canvas.ds.reset()")
    drag(desk, 1, 30, 20)
    (first, moved, last) = points(desk, node)
    assert (first, last) == ((0, 1), (0.8, 0))
    assert 0.4 < moved[0] < 0.8
    assert moved[1] < 1
    # On the grid, and never past a neighbour.
    assert moved[0] == round(moved[0], 2)
    drag(desk, 1, 500, 0)
    assert points(desk, node)[1][0] == 0.8


def test_an_end_of_the_window_moves_its_number_and_draws_no_points(desk: Desk) -> None:
    node = desk.add("EGSchedule", start_percent=0.0, end_percent=0.7)
    desk.find(PLOT).wait_for()
    drag(desk, 1, -40, 0)
    values = desk.values(node)
    assert 0.3 < values["end_percent"] < 0.7
    assert (values["start_percent"], values["points"]) == (0.0, "")


def test_a_click_adds_a_point_keys_move_it_and_delete_removes_it(desk: Desk) -> None:
    node = desk.add("EGSchedule")
    desk.find(PLOT).wait_for()
    desk.find(PLOT).click(position={"x": 100, "y": 70})
    before = points(desk, node)
    assert len(before) == 3
    desk.page.keyboard.press("ArrowRight")
    desk.page.keyboard.press("Shift+ArrowDown")
    after = points(desk, node)
    assert after[1] == pytest.approx((before[1][0] + 0.01, max(before[1][1] - 0.1, 0)))
    desk.page.keyboard.press("Delete")
    assert len(points(desk, node)) == 2


@pytest.mark.parametrize("curve", ["constant", "linear_down", "linear_up", "cosine"])
def test_the_browser_draws_the_windows_that_guidance_uses(desk: Desk, curve: str) -> None:
    drawn = desk.run(
        """async curve => {
            const data = await import("/extensions/energy-guidance/schedule_data.js");
            return data.ofWindow(0.1, 0.7, curve);
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
        parsed(text)
    desk.add("EGSchedule", points=text)
    desk.find('.eg-schedule [role="alert"]').wait_for(state="attached")


def test_presets_are_curves_that_both_sides_understand(desk: Desk) -> None:
    node = desk.add("EGSchedule", start_percent=0.1, end_percent=0.6)
    for name in ("bell", "late", "steps"):
        desk.find(".eg-schedule .eg-chip", has_text=name).click()
        assert points(desk, node)[0][0] == 0.1
        assert points(desk, node)[-1][0] == 0.6
    desk.find(".eg-schedule .eg-chip", has_text="down").click()
    assert desk.values(node)["points"] == ""
    assert desk.values(node)["curve"] == "linear_down"


def test_noise_levels_and_steps_of_the_last_run_stand_below(desk: Desk) -> None:
    show(desk, [])
    desk.add("EGSchedule")
    desk.find(PLOT).wait_for()
    assert desk.find(".eg-schedule .eg-step").count() == len(LEVELS) - 1
    assert desk.find(".eg-schedule .eg-sigma").first.text_content().endswith(" 14")


def test_a_workflow_without_the_text_opens_and_one_with_it_keeps_it(desk: Desk) -> None:
    desk.add("EGSchedule", end_percent=0.6, points="0:0, 0.5:1")
    saved = desk.saved()
    assert saved["nodes"][0]["widgets_values"] == [0.0, 0.6, "constant", "0:0, 0.5:1"]
    desk.open(saved)
    assert desk.saved()["nodes"][0]["widgets_values"] == saved["nodes"][0]["widgets_values"]
    old = saved
    old["nodes"][0]["widgets_values"] = [0.2, 0.6, "cosine"]
    old["nodes"][0]["inputs"] = []
    desk.open(old)
    values = desk.values(saved["nodes"][0]["id"])
    assert values == {"start_percent": 0.2, "end_percent": 0.6, "curve": "cosine", "points": ""}
