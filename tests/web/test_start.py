"""Nodes that guide by themselves: strength in words beside its number."""

from __future__ import annotations

from itertools import count

import pytest
from playwright.sync_api import expect

from tests.web.desk import Desk

PLOT = ".eg-layout-plot"
SEEDS = count(700)


@pytest.mark.parametrize(
    ("change", "strength", "amount"),
    [
        ({"strength": "strong"}, "strong", 1.5),
        ({"amount": 0.5}, "weak", 0.5),
        ({"amount": 0.8}, "custom", 0.8),
        ({"strength": "custom"}, "custom", 1),
    ],
)
def test_word_and_number_follow_each_other(
    desk: Desk, change: dict, strength: str, amount: float
) -> None:
    node = desk.add("EGGuideWithText", **change)
    shown = lambda: [desk.values(node)[name] for name in ("strength", "amount")]
    desk.comes(shown, [strength, amount])


def test_strengths_of_the_page_are_those_of_the_server(desk: Desk) -> None:
    offered = desk.page.evaluate(
        "async () => (await (await fetch('/object_info/EGPlaceWords')).json())"
        ".EGPlaceWords.input.required.strength"
    )
    words = offered[1].get("options") or offered[0]
    assert words == ["weak", "medium", "strong", "custom"]
    node = desk.add("EGPlaceWords")
    assert desk.values(node)["amount"] == 1


PROMPT = "a red circle and a blue square"


def lines(desk: Desk, node: int) -> list[str]:
    return desk.values(node)["boxes"].splitlines()


@pytest.mark.frontends
def test_words_get_boxes_by_clicking_and_each_is_dragged_on_its_own(desk: Desk) -> None:
    node = desk.add("EGPlaceWords", text=PROMPT)
    desk.rest(".eg-word", PLOT)
    chip = desk.find(".eg-word").nth
    chip(2).click()
    desk.comes(lambda: lines(desk, node), ["circle: 0.3 0.3 0.7 0.7"])
    chip(1).click(modifiers=["Shift"])
    desk.comes(lambda: lines(desk, node), ["red circle: 0.3 0.3 0.7 0.7"])
    chip(6).click()
    desk.comes(lambda: len(lines(desk, node)), 2)
    square = lines(desk, node)[1]
    assert square.startswith("square: 0.6 0.6 1 1")
    # A press on the other box chooses it: it alone is moved.
    (box,) = desk.rest(PLOT)
    at = lambda x, y: (box["x"] + x * box["width"], box["y"] + y * box["height"])
    mouse = desk.page.mouse
    mouse.move(*at(0.45, 0.4))
    mouse.down()
    mouse.move(*at(0.25, 0.2))
    mouse.up()
    moved = pytest.approx([0.1, 0.1, 0.5, 0.5], abs=0.03)
    numbers = lambda line: [float(part) for part in line.split(": ")[1].split()]
    desk.comes(lambda: numbers(lines(desk, node)[0]), moved)
    assert lines(desk, node)[1] == square
    expect(chip(1)).to_have_attribute("aria-pressed", "true")
    expect(chip(6)).to_have_attribute("aria-pressed", "false")
    colors = desk.run(
        "() => [...document.querySelectorAll('.eg-layout-plot g')].map((one) => one.style.color)"
    )
    assert len(set(colors)) == 2


def test_what_shows_a_run_stands_below_what_is_edited(desk: Desk) -> None:
    desk.add("EGPlaceWords", text=PROMPT)
    desk.add("EGFixMissingObjects", text=PROMPT, at=(760, 80))
    panels = """() => app.graph.nodes.map((node) => node.widgets
        .filter(({ type }) => type.startsWith("eg_")).map(({ name }) => name))"""
    boxes, missing = desk.run(panels)
    assert boxes == ["word_picker", "layout_editor", "monitor"]
    assert missing[-2:] == ["monitor", "said"]


def test_boxes_come_back_with_the_workflow_and_leave_by_a_second_click(desk: Desk) -> None:
    node = desk.add("EGPlaceWords", text=PROMPT, boxes="blue square: 0.5 0.5 0.9 0.9 20")
    desk.open(desk.saved())
    desk.rest(".eg-word", PLOT)
    node = desk.id_of("EGPlaceWords")
    assert lines(desk, node) == ["blue square: 0.5 0.5 0.9 0.9 20"]
    expect(desk.find(".eg-caption")).to_have_text("blue square")
    desk.find(".eg-word").nth(5).click()
    desk.comes(lambda: lines(desk, node), [])
    expect(desk.find(".eg-layout-plot g")).to_have_count(0)


STOCK = """() => {
    const add = (kind, pos, values = {}) => {
        const node = LiteGraph.createNode(kind);
        node.pos = pos;
        app.graph.add(node);
        for (const widget of node.widgets ?? [])
            if (widget.name in values) widget.value = values[widget.name];
        return node;
    };
    const loader = add("EGLoadShapes", [60, 100]);
    const positive = add("CLIPTextEncode", [20, 800], { text: "" });
    const negative = add("CLIPTextEncode", [440, 800], { text: "" });
    const latent = add("EmptyLatentImage", [860, 800], { width: 128, height: 128 });
    const fixed = { seed: 3, control_after_generate: "fixed" };
    const sampler = add("KSampler", [960, 100], { ...fixed, steps: 6, cfg: 1 });
    const decode = add("VAEDecode", [960, 1000]);
    const save = add("SaveImage", [1240, 800]);
    const link = (from, output, to, input) =>
        from.connect(output, to, to.inputs.findIndex(({ name }) => name === input));
    link(loader, 1, positive, "clip");
    link(loader, 1, negative, "clip");
    link(loader, 0, sampler, "model");
    link(positive, 0, sampler, "positive");
    link(negative, 0, sampler, "negative");
    link(latent, 0, sampler, "latent_image");
    link(sampler, 0, decode, "samples");
    link(loader, 2, decode, "vae");
    link(decode, 0, save, "images");
}"""
# Where the dot of a slot is on the page.
SLOT = """([kind, side, name]) => {
    const node = app.graph.nodes.find((one) => one.type === kind);
    const index = node[side].findIndex((slot) => slot.name === name);
    const key = `${node.id}-${side === "inputs" ? "in" : "out"}-${index}`;
    const dot = document.querySelector(`[data-slot-key="${key}"]`)?.getBoundingClientRect();
    if (dot) return [dot.left + dot.width / 2, dot.top + dot.height / 2];
    const [x, y] = node.getConnectionPos(side === "inputs", index);
    const { offset, scale } = app.canvas.ds;
    const { left, top } = app.canvas.canvas.getBoundingClientRect();
    return [left + (x + offset[0]) * scale, top + (y + offset[1]) * scale];
}"""
HAS = "() => app.graph.nodes.some(({ type }) => type === 'EGGuideWithText')"
# Puts a node that guides between loader and sampler.
AROUND = """id => {
    const [loader, sampler] = ["EGLoadShapes", "KSampler"].map((kind) =>
        app.graph.nodes.find((one) => one.type === kind));
    const node = app.graph.getNodeById(id);
    const link = (from, output, to, input) =>
        from.connect(output, to, to.inputs.findIndex(({ name }) => name === input));
    link(loader, 0, node, "model");
    link(loader, 2, node, "vae");
    link(node, 0, sampler, "model");
}"""
LINKS = "() => [...app.graph.links.values()].length"


def connect(desk: Desk, output: tuple[str, str], taken: tuple[str, str]) -> None:
    """Drag a link from an output to an input, each a kind of node and a slot's name."""
    desk.rest()
    start = desk.run(SLOT, [output[0], "outputs", output[1]])
    end = desk.run(SLOT, [taken[0], "inputs", taken[1]])
    mouse = desk.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    mouse.move(*end)
    mouse.up()


@pytest.fixture(params=[False, True], ids=["classic", "nodes2"])
def canvas(desk: Desk, request: pytest.FixtureRequest):
    """The window, drawn by one of the two renderers."""
    if request.param and desk.version < (1, 47):
        pytest.skip("this frontend's Nodes 2.0 show no elements of extensions")
    desk.setting("Comfy.VueNodes.Enabled", request.param)
    yield desk
    desk.setting("Comfy.VueNodes.Enabled", False)


@pytest.mark.frontends
def test_a_stock_workflow_is_guided_by_one_node_and_three_links_drawn_by_mouse(
    canvas: Desk,
) -> None:
    desk = canvas
    desk.run(STOCK)
    # A sampler that ComfyUI has in its cache is not run again, and shows no curve.
    desk.set("KSampler", steps=3, seed=next(SEEDS))
    before = desk.run(LINKS)
    desk.page.mouse.dblclick(560, 130)
    desk.page.keyboard.type("Guide with Text")
    desk.page.get_by_text("Guide with Text").first.wait_for()
    if desk.version >= (1, 40):
        # A blueprint has the same name.
        found = desk.page.get_by_role("option", name="Guide with Text")
        found.filter(has_not_text="Blueprint").first.click()
    else:
        desk.page.keyboard.press("Enter")
    # Newer frontends let the node hang on the mouse until it is put down.
    desk.until(HAS)
    desk.rest()
    desk.page.mouse.move(570, 140, steps=5)
    desk.rest()
    desk.page.mouse.click(570, 140)
    desk.rest(".eg-monitor")
    desk.set("EGGuideWithText", text="a big red circle", amount=1.0)
    connect(desk, ("EGLoadShapes", "MODEL"), ("EGGuideWithText", "model"))
    connect(desk, ("EGLoadShapes", "VAE"), ("EGGuideWithText", "vae"))
    connect(desk, ("EGGuideWithText", "MODEL"), ("KSampler", "model"))
    # Two more links than before, as one of the three takes the place of the stock one.
    desk.comes(lambda: desk.run(LINKS), before + 2)
    assert desk.pictures()
    desk.comes(lambda: desk.find('[data-metric="energy"] .eg-dot').count() > 0, True)


def test_amount_zero_is_the_stock_image_and_leaves_no_curves_of_the_run_before(desk: Desk) -> None:
    desk.run(STOCK)
    desk.set("KSampler", steps=2)
    plain = desk.pictures()
    node = desk.add("EGGuideWithText", at=(500, 100), text="a big red circle")
    desk.run(AROUND, node)
    assert desk.pictures() != plain
    dots = desk.find('[data-metric="energy"] .eg-dot')
    desk.comes(lambda: dots.count() > 0, True)
    desk.set("EGGuideWithText", strength="custom", amount=0.0)
    assert desk.pictures() == plain
    expect(desk.find(".eg-monitor .eg-empty")).to_contain_text("Not guided")
    expect(dots).to_have_count(0)
