"""Plots are drawn in the theme of the page that runs the workflow."""

from __future__ import annotations

import pytest

from tests.web.desk import Desk

SENT = """async id => (await app.graphToPrompt()).output[id].inputs.theme"""


@pytest.mark.parametrize("palette", ["dark", "light"])
def test_a_plot_is_asked_for_in_the_theme_of_the_page(desk: Desk, palette: str) -> None:
    node = desk.add("EGPlotTrace")
    desk.setting("Comfy.ColorPalette", palette)
    try:
        desk.comes(lambda: desk.run(SENT, str(node)), palette)
    finally:
        desk.setting("Comfy.ColorPalette", "dark")
    assert desk.saved()["nodes"][0]["widgets_values"] == [640, 640, "auto"]


def test_a_theme_that_was_chosen_stays_and_old_workflows_follow_the_page(desk: Desk) -> None:
    node = desk.add("EGPlotTrace", theme="light")
    assert desk.run(SENT, str(node)) == "light"
    saved = desk.saved()
    saved["nodes"][0]["widgets_values"] = [640, 320]
    desk.open(saved)
    assert desk.values(node) == {"width": 640, "height": 320, "theme": "auto"}
    assert desk.run(SENT, str(node)) == "dark"


def test_a_plot_has_its_room_from_the_start(desk: Desk) -> None:
    node = desk.add("EGPlotTrace")
    width, height = desk.run("id => [...app.graph.getNodeById(id).size]", node)
    assert width >= 360
    assert height >= 400
