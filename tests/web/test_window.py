"""The pack in the whole window: themes, sizes, Nodes 2.0 and settings."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.desk import Desk, workflow

PANELS = {
    "EGGuidedKSampler": ".eg-monitor",
    "EGApplyGuidance": ".eg-monitor",
    "EGSchedule": ".eg-schedule-plot",
    "EGTokens": ".eg-words .eg-word",
    "EGEnergyBox": ".eg-layout-plot",
}
# Lines of text stand below some of them.
PANEL = ".eg-panel:not(.eg-said)"


def test_no_title_makes_its_node_wider(desk: Desk) -> None:
    # As measured in the frontend's own font; tests/core/test_names.py has the limit in letters.
    widened = """() => Object.keys(LiteGraph.registered_node_types)
        .filter((kind) => kind.startsWith("EG"))
        .map((kind) => LiteGraph.createNode(kind))
        .filter((node) => {
            const [before] = node.computeSize();
            node.title = "";
            return node.computeSize()[0] < before && node.widgets?.length;
        })
        .map(({ type }) => type)"""
    assert desk.run(widened) == []


def show_all(desk: Desk) -> None:
    for x, kind in enumerate(PANELS):
        values = {"prompt": "a red circle"} if kind == "EGTokens" else {}
        desk.add(kind, at=(20 + 280 * x, 60), **values)
    for selector in PANELS.values():
        desk.find(selector).first.wait_for(state="attached")
    desk.rest()


def inside_their_nodes(desk: Desk) -> None:
    """No panel is wider than its node, none is empty, and none hides another."""
    boxes = desk.run(
        """panels => [...document.querySelectorAll(panels)].map((panel) => {
            const { x, width, height } = panel.getBoundingClientRect();
            return { x, width, height };
        })""",
        PANEL,
    )
    assert len(boxes) == len(PANELS)
    for left, right in zip(boxes, boxes[1:], strict=False):
        assert left["x"] + left["width"] <= right["x"] + 130
    assert all(box["width"] > 100 and box["height"] > 15 for box in boxes)


@pytest.mark.parametrize("palette", ["light", "dark"])
def test_text_can_be_read_in_both_themes(desk: Desk, palette: str) -> None:
    desk.setting("Comfy.ColorPalette", palette)
    try:
        show_all(desk)
        inside_their_nodes(desk)
        colors = """() => [".eg-schedule .eg-chip", ".eg-words .eg-word"].map((selector) => {
            const style = getComputedStyle(document.querySelector(selector));
            return [style.color, style.backgroundColor];
        })"""
        caption = """() => ["fill", "backgroundColor"].map((name, k) => getComputedStyle(
            document.querySelector([".eg-caption", ".eg-schedule .eg-chip"][k]))[name])"""
        read = lambda: [contrast(*pair) > 4.5 for pair in [*desk.run(colors), desk.run(caption)]]
        # A palette is loaded in parts.
        desk.comes(read, [True, True, True])
    finally:
        desk.setting("Comfy.ColorPalette", "dark")


def contrast(*colors: str) -> float:
    """Contrast of two colours by WCAG 2, from 1 to 21."""

    def luminance(color: str) -> float:
        numbers = color[color.index("(") + 1 : -1].replace(",", " ").split()[:3]
        parts = [float(number) / 255 for number in numbers]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted(map(luminance, colors))
    return (light + 0.05) / (dark + 0.05)


def test_it_fits_a_4k_screen(desk: Desk) -> None:
    desk.page.set_viewport_size({"width": 3840, "height": 2160})
    try:
        show_all(desk)
        desk.run("() => { app.canvas.ds.scale = 2; app.canvas.setDirty(true, true); }")
        desk.until(
            "() => document.querySelector('.eg-schedule').getBoundingClientRect().width > 400"
        )
        desk.rest()
        # Drawn once, in the node's own pixels; the canvas zooms it.
        zoom = """() => {
            const plot = document.querySelector(".eg-schedule-plot");
            return plot.getBoundingClientRect().width / plot.getAttribute("width");
        }"""
        desk.comes(lambda: desk.run(zoom), pytest.approx(2, rel=0.05))
    finally:
        desk.page.set_viewport_size({"width": 1366, "height": 768})


def test_in_nodes_2_every_panel_is_there_and_the_curve_can_be_dragged(desk: Desk) -> None:
    if desk.version < (1, 30):
        pytest.skip("Nodes 2.0 of this frontend shows no extension's elements yet")
    desk.setting("Comfy.VueNodes.Enabled", True)
    try:
        show_all(desk)
        expect(desk.find(f"[data-node-id] {PANEL}")).to_have_count(len(PANELS))
        node = desk.id_of("EGSchedule")
        desk.rest("[data-node-id] .eg-schedule-plot")
        desk.find('.eg-schedule [data-index="1"]').press("Shift+ArrowLeft")
        desk.comes(lambda: desk.values(node)["end_percent"], 0.6)
    finally:
        desk.setting("Comfy.VueNodes.Enabled", False)


# How many nodes there are in what ComfyUI has noted, which is some time after a change.
NOTED = """() => {
    const { changeTracker } = app.extensionManager.workflow.activeWorkflow;
    return changeTracker.activeState.nodes.length;
}"""


def test_a_copy_of_a_node_has_its_values_and_undo_takes_it_away(desk: Desk) -> None:
    desk.open({"nodes": [], "links": [], "groups": [], "version": 0.4})
    box = {"left": 0.2, "top": 0.3, "right": 0.6, "bottom": 0.9, "angle": 15.0}
    desk.add("EGEnergyBox", **box)
    desk.add("EGSchedule", at=(620, 80), end_percent=0.6, points="0:0, 0.5:1")
    desk.add("EGTokens", at=(940, 80), prompt="a red circle", words="red\ncircle#1")
    said = lambda: sorted((n["type"], n["widgets_values"]) for n in desk.saved()["nodes"])
    one = said()
    rest = ["layout", 1.0, "default", 15.0, "mean", "", "latent frames"]
    assert one[0] == ("EGEnergyBox", [0.2, 0.3, 0.6, 0.9, *rest])
    desk.rest()
    desk.page.mouse.click(640, 700)
    desk.comes(lambda: desk.run(NOTED), 3)
    for keys in ("Control+a", "Control+c", "Control+v"):
        desk.page.keyboard.press(keys)
    desk.comes(said, sorted(2 * one))
    expect(desk.find(PANEL)).to_have_count(6)
    desk.comes(lambda: desk.run(NOTED), 6)
    desk.page.keyboard.press("Control+z")
    desk.comes(said, one)


def look_at_last(desk: Desk, kind: str) -> int:
    """Bring the last node of a kind into sight, at its natural size."""
    node = desk.run("kind => app.graph.nodes.filter((n) => n.type === kind).at(-1).id", kind)
    desk.run(
        """id => {
            app.canvas.ds.reset();
            app.canvas.centerOnNode(app.graph.getNodeById(id));
            app.canvas.setDirty(true, true);
        }""",
        node,
    )
    return node


def test_what_is_dragged_and_clicked_changes_the_picture(desk: Desk) -> None:
    desk.open(workflow("boxes"))
    desk.set("EmptyLatentImage", width=64, height=64, batch_size=1)
    desk.set("KSampler", steps=2)
    (before,) = desk.pictures()
    box = look_at_last(desk, "EGEnergyBox")
    saved = desk.values(box)
    desk.drag('.eg-layout [data-handle="move"]', -0.3, 0.1, of=".eg-layout-plot")
    desk.until("([id, left]) => app.graph.getNodeById(id).widgets[0].value !== left", [box, 0.55])
    (dragged,) = desk.pictures()
    assert dragged != before
    tokens = look_at_last(desk, "EGTokens")
    desk.rest(".eg-words .eg-word")
    desk.find(".eg-words").last.locator(".eg-word", has_text="small").click()
    desk.comes(lambda: desk.values(tokens)["words"], "small white square\nsmall")
    (clicked,) = desk.pictures()
    assert clicked != dragged
    # Nothing else had a part in it.
    desk.run(
        """([box, values, tokens]) => {
            for (const widget of app.graph.getNodeById(box).widgets)
                if (widget.name in values) widget.value = values[widget.name];
            const words = app.graph.getNodeById(tokens).widgets.find((w) => w.name === "words");
            words.value = "small white square";
        }""",
        [box, saved, tokens],
    )
    assert desk.pictures() == [before]


def test_new_nodes_begin_with_the_decoder_of_the_settings_and_old_ones_keep_theirs(
    desk: Desk,
) -> None:
    desk.setting("EnergyGuidance.Nodes.Decoder", "taesd")
    try:
        node = desk.add("EGApplyGuidance")
        desk.comes(lambda: desk.values(node)["decoder"], "taesd")
        desk.open(workflow("classifier-guided"))
        desk.comes(lambda: desk.values(desk.id_of("EGApplyGuidance"))["decoder"], "auto")
    finally:
        desk.setting("EnergyGuidance.Nodes.Decoder", "auto")


def test_the_colours_of_the_settings_are_used(desk: Desk) -> None:
    desk.add("EGSchedule")
    desk.rest(".eg-schedule-plot")
    line = desk.find(".eg-course")
    before = line.evaluate("(line) => getComputedStyle(line).stroke")
    desk.setting("EnergyGuidance.Plots.Colors", "vivid")
    try:
        expect(line).not_to_have_css("stroke", before)
    finally:
        desk.setting("EnergyGuidance.Plots.Colors", "distinct")
