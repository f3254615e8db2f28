"""Boxes, points and outlines dragged over the picture."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.web.desk import Desk

BOX = {"left": 0.1, "top": 0.1, "right": 0.5, "bottom": 0.5}
PLOT = ".eg-layout-plot"


def drag(desk: Desk, handle: str, right: float, down: float, keys: str = "") -> None:
    """Drag a handle by parts of the picture."""
    desk.drag(f'.eg-layout [data-handle="{handle}"]', right, down, of=PLOT, keys=keys)


def press(desk: Desk, *keys: str) -> None:
    """Press keys on the handle that has the focus."""
    held = desk.find(".eg-grip:focus")
    for key in keys:
        held.press(key)


def numbers(desk: Desk, node: int, *names: str) -> list[float]:
    values = desk.values(node)
    return [values[name] for name in names]


def added(desk: Desk, kind: str, **values: float) -> int:
    node = desk.add(kind, **values)
    desk.rest(PLOT)
    return node


@pytest.mark.frontends
def test_a_box_is_moved_as_it_is_and_stays_in_the_picture(desk: Desk) -> None:
    node = added(desk, "EGEnergyBox", **BOX)
    drag(desk, "move", 0.22, 0.13)
    moved = pytest.approx([0.32, 0.23, 0.72, 0.63], abs=0.03)
    desk.comes(lambda: numbers(desk, node, *BOX), moved)
    left, top, right, bottom = numbers(desk, node, *BOX)
    assert (right - left, bottom - top) == pytest.approx((0.4, 0.4))
    drag(desk, "move", 2, 2)
    desk.comes(lambda: numbers(desk, node, "right", "bottom"), [1, 1])


def test_a_corner_resizes_and_cannot_turn_the_box_inside_out(desk: Desk) -> None:
    node = added(desk, "EGEnergyBox", **BOX)
    drag(desk, "se", 0.2, 0.3, "Alt")
    resized = pytest.approx([0.1, 0.1, 0.7, 0.8], abs=0.02)
    desk.comes(lambda: numbers(desk, node, *BOX), resized)
    drag(desk, "se", -1, -1)
    least = pytest.approx([0.1, 0.1, 0.12, 0.12])
    desk.comes(lambda: numbers(desk, node, *BOX), least)


def test_edges_snap_to_the_middle_and_to_other_boxes(desk: Desk) -> None:
    added(desk, "EGEnergyBox", left=0.27, top=0.1, right=0.83, bottom=0.9)
    node = desk.add("EGEnergyBox", at=(700, 80), **BOX)
    drag(desk, "se", 0.325, 0.005)
    desk.comes(lambda: numbers(desk, node, "right", "bottom"), [0.83, 0.5])


def test_the_boxes_of_other_editors_follow_when_a_drag_is_over(desk: Desk) -> None:
    added(desk, "EGEnergyBox", left=0.27, top=0.1, right=0.83, bottom=0.9)
    node = desk.add("EGEnergyBox", at=(700, 80), **BOX)
    drag(desk, "se", 0.2, 0.2)
    desk.comes(lambda: numbers(desk, node, "right"), pytest.approx([0.7], abs=0.03))
    (right,) = numbers(desk, node, "right")
    there = """() => {
        const [x, width] = ["x", "width"].map((name) =>
            Number(document.querySelector(".eg-ghost .eg-box").getAttribute(name)));
        return (x + width) / document.querySelector(".eg-layout-plot").getAttribute("width");
    }"""
    desk.comes(lambda: desk.run(there), pytest.approx(right))


def test_a_drag_goes_by_the_pointer_even_where_the_node_moves_under_it(desk: Desk) -> None:
    node = added(desk, "EGEnergyBox", **BOX)
    grip, stage = desk.rest('.eg-layout [data-handle="se"]', PLOT)
    x, y = round(grip["x"] + grip["width"] / 2), round(grip["y"] + grip["height"] / 2)
    mouse = desk.page.mouse
    mouse.move(x, y)
    mouse.down()
    desk.run("id => { app.graph.getNodeById(id).pos = [340, 130]; }", node)
    desk.rest()
    mouse.move(x + 0.2 * stage["width"], y + 0.2 * stage["height"])
    mouse.up()
    moved = pytest.approx([0.7, 0.7], abs=0.02)
    desk.comes(lambda: numbers(desk, node, "right", "bottom"), moved)


def test_a_press_brings_the_point_and_arrow_keys_move_it(desk: Desk) -> None:
    node = added(desk, "EGEnergyPosition")
    (box,) = desk.rest(PLOT)
    desk.page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + 0.8 * box["height"])
    desk.comes(lambda: numbers(desk, node, "x", "y"), pytest.approx([0.2, 0.8], abs=0.02))
    x, y = numbers(desk, node, "x", "y")
    press(desk, "ArrowRight", "Shift+ArrowUp")
    desk.comes(lambda: numbers(desk, node, "x", "y"), pytest.approx([x + 0.01, y - 0.1]))


def test_an_outline_is_moved_and_scaled(desk: Desk) -> None:
    node = added(desk, "EGEnergyShape")
    drag(desk, "move", 0.1, -0.2, "Alt")
    shifted = pytest.approx([0.1, -0.2, 1], abs=0.02)
    desk.comes(lambda: numbers(desk, node, "shift_x", "shift_y", "scale"), shifted)
    drag(desk, "se", 0.1, 0.1)
    desk.comes(lambda: numbers(desk, node, "scale"), pytest.approx([1.4], abs=0.06))


def test_the_dot_on_the_upper_edge_turns(desk: Desk) -> None:
    node = added(desk, "EGEnergyBox", **BOX)
    drag(desk, "turn", 0.21, 0.2)
    desk.comes(lambda: numbers(desk, node, "angle", *BOX), [90, *BOX.values()])
    press(desk, "ArrowRight", "Shift+ArrowLeft")
    desk.comes(lambda: numbers(desk, node, "angle"), [81])
    expect(desk.find(".eg-box")).to_have_attribute("transform", re.compile(r"rotate\(81 "))


def test_a_turned_box_is_resized_at_its_corner_while_the_one_across_stays(desk: Desk) -> None:
    box = {"left": 0.4, "top": 0.4, "right": 0.6, "bottom": 0.6}
    node = added(desk, "EGEnergyBox", **box, angle=45.0)
    # Its lower right corner is straight below the middle, its upper left one above.
    drag(desk, "se", 0, 0.1, "Alt")
    side = (0.2 * 2**0.5 + 0.1) / 2**0.5
    half = [1 - side, 1.1 - side, 1 + side, 1.1 + side]
    grown = pytest.approx([part / 2 for part in half], abs=0.02)
    desk.comes(lambda: numbers(desk, node, *box), grown)


def test_numbers_that_are_none_break_nothing(desk: Desk) -> None:
    node = added(desk, "EGEnergyBox", **BOX)
    saved = desk.saved()
    saved["nodes"][0]["widgets_values"][:4] = [None, "a", 0.5, 0.5]
    desk.open(saved)
    desk.rest(PLOT)
    expect(desk.find(".eg-box")).to_have_attribute("x", "0")
    assert numbers(desk, node, "right") == [0.5]


def test_an_outline_is_turned_too(desk: Desk) -> None:
    node = added(desk, "EGEnergyShape")
    drag(desk, "turn", 0.25, 0.01)
    desk.comes(lambda: numbers(desk, node, "angle", "shift_x", "scale"), [45, 0, 1])


def test_numbers_typed_into_the_node_move_the_box(desk: Desk) -> None:
    node = added(desk, "EGEnergyBox", **BOX)
    desk.run(
        """id => { const w = app.graph.getNodeById(id).widgets.find((w) => w.name === "left");
                   w.value = 0.3; w.callback(0.3); }""",
        node,
    )
    part = """() => document.querySelector(".eg-box").getAttribute("x")
        / document.querySelector(".eg-layout-plot").getAttribute("width")"""
    desk.comes(lambda: desk.run(part), pytest.approx(0.3))


def test_words_name_the_box_and_the_workflow_carries_its_numbers(desk: Desk) -> None:
    node = added(desk, "EGEnergyBox", **BOX)
    tokens = desk.add("EGTokens", words="circle\nred")
    desk.run(
        "([from, to]) => app.graph.getNodeById(from).connect(0, app.graph.getNodeById(to), 0)",
        [tokens, node],
    )
    drag(desk, "move", 0.1, 0.1)
    desk.comes(lambda: numbers(desk, node, "left"), pytest.approx([0.2], abs=0.03))
    desk.find(".eg-caption", has_text="circle, red").wait_for()
    saved = desk.saved()
    values = numbers(desk, node, *BOX)
    desk.open(saved)
    desk.rest(PLOT)
    assert numbers(desk, node, *BOX) == values
    again = {one["id"]: one["widgets_values"] for one in desk.saved()["nodes"]}
    assert again == {one["id"]: one["widgets_values"] for one in saved["nodes"]}
    desk.find(".eg-caption", has_text="circle, red").wait_for()


def test_undo_takes_back_one_drag(desk: Desk) -> None:
    desk.open({"nodes": [], "links": [], "groups": [], "version": 0.4})
    node = added(desk, "EGEnergyBox", **BOX)
    desk.run(
        """() => {
            const tracker = app.extensionManager.workflow.activeWorkflow.changeTracker;
            (tracker.captureCanvasState ?? tracker.checkState).call(tracker);
        }"""
    )
    drag(desk, "se", 0.2, 0.2)
    desk.comes(lambda: numbers(desk, node, "right"), pytest.approx([0.7], abs=0.02))
    (once,) = numbers(desk, node, "right")
    drag(desk, "se", 0.1, 0.1)
    desk.comes(lambda: numbers(desk, node, "right"), pytest.approx([0.8], abs=0.02))
    press(desk, "Control+z")
    # The frontend undoes by opening the workflow as it was.
    desk.until("([id, once]) => app.graph.getNodeById(id)?.widgets[2].value === once", [node, once])
