"""What is found first when a node is looked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.web.desk import Desk

RELEASE = "Comfy.LinkRelease.Action"
ITEMS = "[data-testid=result-item]"
STARTS = {"Guide with Text", "Place Words in Boxes", "Guide with Image", "Fix Missing Objects"}
# Where the dot of a slot is on the page.
SLOT = """([id, side, name]) => {
    const node = app.graph.getNodeById(id);
    const index = node[side].findIndex((slot) => slot.name === name);
    const [x, y] = node.getConnectionPos(side === "inputs", index);
    const { offset, scale } = app.canvas.ds;
    const { left, top } = app.canvas.canvas.getBoundingClientRect();
    return [left + (x + offset[0]) * scale, top + (y + offset[1]) * scale];
}"""


@pytest.fixture(autouse=True)
def modern(desk: Desk) -> Iterator[None]:
    """Older frontends have another search, which knows no order of its own."""
    if desk.version < (1, 40):
        pytest.skip("this frontend searches in another way")
    yield
    desk.page.keyboard.press("Escape")
    desk.setting(RELEASE, "context menu")
    expect(desk.find(ITEMS)).to_have_count(0)


def found(desk: Desk) -> list[str]:
    """Titles of what is found, in order."""
    return [text.split("\n")[0] for text in desk.find(ITEMS).all_inner_texts()]


def dropped(desk: Desk, kind: str, side: str, slot: str) -> list[str]:
    """What is offered for a link that is let go over the empty canvas."""
    desk.setting(RELEASE, "search box")
    node = desk.add(kind, at=(500, 150))
    desk.rest()
    x, y = desk.run(SLOT, [node, side, slot])
    mouse = desk.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 40, 600)
    mouse.move(1100 if side == "outputs" else 200, 640)
    mouse.up()
    desk.find(ITEMS).first.wait_for()
    return found(desk)


def test_who_looks_for_guidance_finds_the_starts_first(desk: Desk) -> None:
    desk.page.mouse.dblclick(600, 400)
    for typed in ("guid", "guidance"):
        desk.page.keyboard.press("Control+a")
        desk.page.keyboard.type(typed)
        desk.comes(lambda: set(found(desk)[: len(STARTS)]), STARTS)


@pytest.mark.parametrize(
    ("kind", "side", "slot", "first"),
    [
        ("EGEnergyBox", "outputs", "energy", "Rule: Forward"),
        ("EGRuleForward", "outputs", "rule", "Apply Guidance"),
        ("EGEnergyBox", "inputs", "tokens", "Prompt Words"),
        ("EGEnergyDetection", "inputs", "network", "Load Guide: Detector"),
        ("EGEnergySegmentation", "inputs", "network", "Load Guide: Segmenter"),
    ],
)
def test_the_node_that_fits_a_socket_leads(
    desk: Desk, kind: str, side: str, slot: str, first: str
) -> None:
    assert dropped(desk, kind, side, slot)[0] == first


def test_the_menu_of_a_socket_leads_with_what_fits(desk: Desk) -> None:
    assert desk.run("() => LiteGraph.slot_types_default_out.GUIDANCE_RULE[0]") == "EGApplyGuidance"
    assert desk.run("() => LiteGraph.slot_types_default_in.GUIDANCE_TOKENS[0]") == "EGTokens"
