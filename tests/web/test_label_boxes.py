"""Boxes for labels of a guide network."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.desk import Desk
from tests.web.test_layout import PLOT, drag

KINDS = ["EGEnergyDetection", "EGEnergySegmentation"]


def lines(desk: Desk, node: int) -> list[str]:
    return desk.values(node)["boxes"].splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_gets_a_box_that_is_dragged_and_a_chip_that_takes_it_away(
    desk: Desk, kind: str
) -> None:
    node = desk.add(kind, boxes="circle: 0.1, 0.3, 0.5, 0.7")
    desk.rest(".eg-add", PLOT)
    expect(desk.find(".eg-caption")).to_have_text("circle")
    expect(desk.find('[data-handle="turn"]')).to_have_count(0)
    desk.find(".eg-add").fill("square")
    desk.find(".eg-add").press("Enter")
    desk.comes(lambda: len(lines(desk, node)), 2)
    circle, square = lines(desk, node)
    assert circle == "circle: 0.1 0.3 0.5 0.7"
    assert square.startswith("square: ")
    chips = desk.find(".eg-word")
    chips.nth(0).click()
    drag(desk, "se", 0.1, 0.1, "Alt")
    desk.comes(lambda: lines(desk, node)[0] != circle, True)
    label, numbers = lines(desk, node)[0].split(": ")
    assert label == "circle"
    assert list(map(float, numbers.split())) == pytest.approx([0.1, 0.3, 0.6, 0.8], abs=0.03)
    assert lines(desk, node)[1] == square
    colors = desk.run(
        """() => [".eg-layout-plot g", ".eg-word"].map((one) =>
            new Set([...document.querySelectorAll(one)].map(({ style }) =>
                style.color || style.getPropertyValue("--eg-word"))).size)"""
    )
    assert colors == [2, 2]
    chips.nth(0).click()
    desk.comes(lambda: lines(desk, node), [square])
    desk.open(desk.saved())
    desk.rest(".eg-add", PLOT)
    assert lines(desk, desk.id_of(kind)) == [square]
    expect(desk.find(".eg-caption")).to_have_text("square")
