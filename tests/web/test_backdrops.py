"""The image below an editor is that of its own sampler, in its own workflow."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.web.desk import Desk
from tests.web.test_layout import PLOT
from tests.web.test_monitor import tell

BOX = "EGEnergyBox"
# Each node leads to the next by its first output and the input of this name.
CHAIN = [
    ("EGRuleForward", "energy"),
    ("EGApplyGuidance", "rule_1"),
    ("KSampler", "model"),
    ("VAEDecode", "samples"),
    ("SaveImage", "images"),
]
LINK = """([from, output, to, name]) => {
    const target = app.graph.getNodeById(to);
    const slot = target.inputs.findIndex((input) => input.name === name);
    if (slot < 0) throw new Error(target.inputs.map((one) => one.name).join());
    app.graph.getNodeById(from).connect(output, target, slot);
}"""


SHAPE = """() => { const { width, height } =
    document.querySelector(".eg-layout .eg-stage").getBoundingClientRect();
    return width / height; }"""


def chain(desk: Desk, top: int) -> list[int]:
    """A box that guides a sampler, up to its image."""
    nodes = [desk.add(BOX, at=(50, top))]
    for place, (kind, slot) in enumerate(CHAIN):
        nodes.append(desk.add(kind, at=(400 + 40 * place, top + 20 * place)))
        desk.run(LINK, [nodes[-2], 0, nodes[-1], slot])
    return nodes


def serve(desk: Desk, name: str, size: tuple[int, int]) -> None:
    """Let the server have an image."""
    made = io.BytesIO()
    Image.new("RGB", size, "white").save(made, "PNG")
    body = made.getvalue()
    desk.page.route(f"**/view?filename={name}*", lambda route: route.fulfill(body=body))


def put_out(desk: Desk, node: int, name: str, size: tuple[int, int] = (8, 8)) -> None:
    """Let a node have put out an image, in the open workflow."""
    serve(desk, name, size)
    image = {"filename": name, "subfolder": "", "type": "output"}
    tell(desk, "executed", {"node": str(node), "output": {"images": [image]}})


def below(desk: Desk) -> list[str]:
    """Files of the images below the editors, from the top of the page."""
    addresses = desk.run(
        f"""() => [...document.querySelectorAll("{PLOT}")]
            .sort((a, b) => a.getBoundingClientRect().y - b.getBoundingClientRect().y)
            .map((plot) => plot.querySelector("image")?.getAttribute("href") ?? "")"""
    )
    return [re.sub(r".*filename=([^&]*).*", r"\1", address) for address in addresses]


def test_each_editor_shows_what_its_own_sampler_made(desk: Desk) -> None:
    first, second = chain(desk, 20), chain(desk, 400)
    other = desk.add("SaveImage", at=(900, 20))
    put_out(desk, first[-1], "first.png")
    desk.comes(lambda: below(desk), ["first.png", ""])
    put_out(desk, second[-1], "second.png")
    put_out(desk, other, "other.png")
    desk.comes(lambda: below(desk), ["first.png", "second.png"])


def test_a_tall_image_keeps_its_shape_below_the_boxes(desk: Desk) -> None:
    *_, save = chain(desk, 20)
    put_out(desk, save, "tall.png", (10, 30))
    desk.comes(lambda: desk.run(SHAPE), pytest.approx(1 / 3, abs=0.02))
    put_out(desk, save, "flat.png")
    desk.comes(lambda: desk.run(SHAPE), pytest.approx(1, abs=0.02))


def test_an_image_that_is_fed_into_the_node_lies_below_in_its_own_shape(desk: Desk) -> None:
    serve(desk, "fed.png", (30, 20))
    load = desk.add("LoadImage", at=(50, 20))
    node = desk.add("EGEnergyShape", at=(500, 20))
    desk.run("id => { app.graph.getNodeById(id).widgets[0].value = 'fed.png'; }", load)
    desk.run(LINK.replace("input.name === name", "input.type === name"), [load, 1, node, "MASK"])
    desk.run("id => app.graph.getNodeById(id).widgets[0].callback(0)", node)
    desk.comes(lambda: below(desk), ["fed.png"])
    desk.comes(lambda: desk.run(SHAPE), pytest.approx(3 / 2, abs=0.02))


EDITORS = (
    *("EGPlaceWords", "EGEnergyBox", "EGEnergyPosition"),
    *("EGEnergyDetection", "EGEnergySegmentation"),
)


@pytest.mark.parametrize("kind", EDITORS)
def test_an_image_that_is_there_before_a_run_lies_below(desk: Desk, kind: str) -> None:
    serve(desk, "before.png", (30, 20))
    load, scale = desk.add("LoadImage", at=(50, 20)), desk.add("ImageScale", at=(50, 400))
    node = desk.add(kind, at=(500, 20))
    desk.run("id => { app.graph.getNodeById(id).widgets[0].value = 'before.png'; }", load)
    desk.run(LINK, [load, 0, scale, "image"])
    desk.run(LINK, [scale, 0, node, "image"])
    desk.comes(lambda: below(desk), ["before.png"])
    desk.comes(lambda: desk.run(SHAPE), pytest.approx(3 / 2, abs=0.02))
    serve(desk, "other.png", (30, 20))
    desk.set("LoadImage", image="other.png")
    desk.run("id => { app.graph.getNodeById(id).widgets[0].callback('other.png'); }", load)
    desk.comes(lambda: below(desk), ["other.png"])
    desk.run("id => { app.graph.getNodeById(id).disconnectInput('image'); }", node)
    desk.comes(lambda: below(desk), [""])


def test_an_image_of_an_earlier_sampler_lies_below_once_it_is_there(desk: Desk) -> None:
    box, *_, save = chain(desk, 20)
    decode, preview = desk.add("VAEDecode", at=(50, 500)), desk.add("PreviewImage", at=(400, 500))
    desk.run(LINK, [decode, 0, preview, "images"])
    desk.run(LINK, [decode, 0, box, "image"])
    put_out(desk, save, "after.png")
    desk.comes(lambda: below(desk), ["after.png"])
    put_out(desk, preview, "before.png")
    desk.comes(lambda: below(desk), ["before.png"])


def test_the_nearest_image_lies_below_and_no_diagram(desk: Desk) -> None:
    _, _, apply, _, decode, save = chain(desk, 20)
    plot, preview = desk.add("EGPlotTrace", at=(900, 20)), desk.add("PreviewImage", at=(900, 300))
    desk.run(LINK, [apply, 1, plot, "trace"])
    scale = desk.add("ImageScale", at=(900, 500))
    later = desk.add("PreviewImage", at=(1100, 500))
    desk.run(
        """([from, to]) => app.graph.getNodeById(from).connect(0, app.graph.getNodeById(to), 0)""",
        [plot, preview],
    )
    decode = desk.id_of("VAEDecode")
    desk.run(LINK, [decode, 0, scale, "image"])
    desk.run(LINK, [scale, 0, later, "images"])
    for node, name in (
        (save, "near.png"),
        (later, "far.png"),
        (plot, "plot.png"),
        (preview, "plot.png"),
    ):
        put_out(desk, node, name)
    desk.comes(lambda: below(desk), ["near.png"])
    desk.page.wait_for_timeout(500)
    assert below(desk) == ["near.png"]


def test_boxes_of_another_sampler_are_not_shown(desk: Desk) -> None:
    first, _ = chain(desk, 20), chain(desk, 400)
    ghosts = desk.find(f"{PLOT} .eg-ghost")
    # The editors follow a change after a pause.
    moved = (
        "id => app.graph.getNodeById(id).widgets.find((one) => one.name === 'left').callback(0.1)"
    )
    desk.run(moved, first[0])
    desk.until("() => document.querySelectorAll('.eg-own').length === 2")
    expect(ghosts).to_have_count(0)
    third, combine = desk.add(BOX, at=(50, 800)), desk.add("EGCombineEnergies", at=(300, 800))
    desk.run(LINK, [third, 0, combine, "energy_1"])
    desk.run(LINK, [first[0], 0, combine, "energy_2"])
    desk.run(LINK, [combine, 0, first[1], "energy"])
    desk.run(moved, third)
    expect(ghosts).to_have_count(2)


def test_a_crosshair_says_how_far_the_object_was_until_it_is_moved(desk: Desk) -> None:
    first, _, apply, *_ = chain(desk, 20)
    node, combine = desk.add("EGEnergyPosition", at=(50, 400)), desk.add("EGCombineEnergies")
    tokens = desk.add("EGTokens", at=(50, 800), words="red circle")
    desk.run(LINK, [tokens, 0, node, "tokens"])
    desk.run(LINK, [first, 0, combine, "energy_1"])
    desk.run(LINK, [node, 0, combine, "energy_2"])
    desk.run(LINK, [combine, 0, desk.id_of("EGRuleForward"), "energy"])
    name = "Position red circle"
    row = {"rule": "Forward", "sigma": 1.0, "energy": [1.0], "grad_norm": [1.0], "push": [1.0]}
    # Twice its weight: so is what counts as near, a twentieth of the image.
    said = {"terms": {"Box": [0.4], name: [0.24]}, "reached": {name: 0.1}, "cfg_push": None}
    message = {"node": str(apply), "prompt_id": "p", "rows": [{**row, **said}], "done": True}
    tell(desk, "energy_guidance.monitor", {**message, "sigmas": [2.0, 1.0], "levels": [2.0, 1.0]})
    caption = desk.find(".eg-own .eg-caption", has_text="red circle")
    expect(caption).to_have_text("red circle · 12 % away")
    moved = """id => {
        const [x] = app.graph.getNodeById(id).widgets;
        x.value = 0.3;
        x.callback(0.3);
    }"""
    desk.run(moved, node)
    expect(caption).to_have_text("red circle")


# Small and quick; what differs is the shape of the image and the name of its file.
SMALL = """([wide, name]) => {
    const nodes = {};
    const add = (kind, pos, values = {}) => {
        const node = LiteGraph.createNode(kind);
        node.pos = pos;
        app.graph.add(node);
        for (const widget of node.widgets ?? [])
            if (widget.name in values) widget.value = values[widget.name];
        nodes[kind] = node;
    };
    add("EGLoadShapes", [20, 500]);
    const boxes = "circle: 0.5 0.5 0.9 0.9";
    add("EGPlaceWords", [20, 60], { text: "a red circle", boxes, recurrences: 1 });
    add("EmptyLatentImage", [420, 500], { width: wide, height: 64 });
    add("KSampler", [420, 60], { steps: 2, cfg: 1, seed: 1, control_after_generate: "fixed" });
    add("VAEDecode", [760, 60]);
    add("SaveImage", [760, 200], { filename_prefix: name });
    for (const [from, output, to, input] of [
        ["EGLoadShapes", "MODEL", "EGPlaceWords", "model"],
        ["EGLoadShapes", "CLIP", "EGPlaceWords", "clip"],
        ["EGPlaceWords", "MODEL", "KSampler", "model"],
        ["EGPlaceWords", "CONDITIONING", "KSampler", "positive"],
        ["EGPlaceWords", "CONDITIONING", "KSampler", "negative"],
        ["EmptyLatentImage", "LATENT", "KSampler", "latent_image"],
        ["KSampler", "LATENT", "VAEDecode", "samples"],
        ["EGLoadShapes", "VAE", "VAEDecode", "vae"],
        ["VAEDecode", "IMAGE", "SaveImage", "images"],
    ]) {
        const source = nodes[from].outputs.findIndex((one) => one.type === output);
        const target = nodes[to].inputs.findIndex((one) => one.name === input);
        nodes[from].connect(source, nodes[to], target);
    }
    return JSON.parse(JSON.stringify(app.graph.serialize()));
}"""
COUNT = """() => {
    const done = (window.egDone = new Set());
    const heard = ({ detail }) => done.add(detail.prompt_id);
    comfyAPI.api.api.addEventListener("execution_success", heard);
}"""
CLOSE = """name => {
    const { workflow } = app.extensionManager;
    workflow.closeWorkflow(workflow.openWorkflows.find((one) => one.filename === name));
}"""
OTHER = "egOther"


def queue(desk: Desk) -> None:
    desk.run("() => app.queuePrompt(0)")


@pytest.mark.frontends
def test_two_workflows_in_two_tabs_have_each_its_own_image(desk: Desk) -> None:
    desk.run(COUNT)
    first = desk.run(SMALL, [128, "one"])
    # A copy, whose nodes have the same numbers.
    changed = {"EmptyLatentImage": [64, 64, 1], "SaveImage": ["two"]}
    nodes = [
        {**node, "widgets_values": changed.get(node["type"], node.get("widgets_values", []))}
        for node in first["nodes"]
    ]
    desk.open(first)
    own = desk.run("() => app.extensionManager.workflow.activeWorkflow.filename")
    desk.run(
        "([content, name]) => app.loadGraphData(content, true, false, name)",
        [{**first, "nodes": nodes}, OTHER],
    )
    tab = {name: desk.find(".workflow-label", has_text=name).last for name in (own, OTHER)}

    def go(name: str, prefix: str) -> None:
        tab[name].click()
        there = "prefix => app.graph.nodes.at(-1)?.widgets?.some(({ value }) => value === prefix)"
        desk.until(there, prefix)

    try:
        # While one runs, the other is looked at.
        for name, prefix in ((OTHER, "two"), (own, "one")):
            go(name, prefix)
            desk.run("() => app.queuePrompt(0)")
        go(OTHER, "two")
        desk.until("() => window.egDone.size === 2")
        desk.comes(lambda: [name[:3] for name in below(desk)], ["two"])
        go(own, "one")
        desk.comes(lambda: [name[:3] for name in below(desk)], ["one"])
    finally:
        tab[own].click()
        desk.run(CLOSE, OTHER)
