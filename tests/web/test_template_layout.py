"""Templates open whole and large enough, and no node lies on another, before a run and after it.

Most runs are told, not sampled: the page gets the messages of the server and images of the right
size, which are all that nodes grow by. Two templates are really run.
"""

from __future__ import annotations

import io
import re
from itertools import combinations
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Route

from tests.web.desk import Desk, workflow
from tests.web.test_attention import facts, file, sheet
from tests.web.test_monitor import message, row, tell
from tools.templates.__main__ import names

NAMES = list(names())
NODES2 = (1, 47)  # the first frontend whose Nodes 2.0 show elements of extensions
# Least zooms in a window of 1366 x 768 pixels; the classic canvas draws text from 0.57 on. One
# template holds three whole runs.
FIRST_HOUR = NAMES[: NAMES.index("text-guided")]
LEAST_ZOOM = {"compose-images": 0.37}
TITLE = 30
# The words of each prompt have come.
WORDS = """() => [...document.querySelectorAll(".eg-words:has(> .eg-note)")]
    .every((panel) => panel.textContent)"""
# Nodes as rectangles with their titles, once their sizes have been the same for some frames.
RECTS = """async () => {
    const rects = () => app.graph.nodes.map((node) => {
        const drawn = document.querySelector(`[data-node-id="${node.id}"]`);
        const tall = (drawn?.getBoundingClientRect().height ?? 0) / app.canvas.ds.scale - TITLE;
        const [[x, y], [width, height]] = [node.pos, node.size];
        const rect = [x, y - TITLE, width, Math.max(height, Math.round(tall)) + TITLE];
        return { name: `${node.title} (${node.id})`, rect };
    });
    for (let before = "", same = 0; same < 8; ) {
        app.canvas.setDirty(true, true);
        await new Promise(requestAnimationFrame);
        const now = JSON.stringify(rects());
        same = now === before ? same + 1 : 0;
        before = now;
    }
    return rects();
}""".replace("TITLE", str(TITLE))
# The zoom at which the frontend fits all nodes into its window, as it does from the gallery.
FITTED = """() => {
    const rects = app.graph.nodes.map(({ boundingRect }) => boundingRect);
    const [left, top] = [0, 1].map((k) => Math.min(...rects.map((rect) => rect[k])) - 10);
    const [right, low] = [0, 1].map((k) => Math.max(...rects.map((r) => r[k] + r[k + 2])) + 10);
    app.canvas.ds.fitToBounds([left, top, right - left, low - top]);
    return app.canvas.ds.scale;
}"""
OUTPUTS = ("SaveImage", "PreviewImage", "SaveAnimatedWEBP", "EGPlotTrace", "EGTuneGuidance")
TOLD = (
    "EGTokens",
    "EGRecordReference",
    "EGInvert",
    "EGFixMissingObjects",
    "EGHSpaceDirection",
    "EGInitialNoise",
)
GUIDED = ("EGGuidedKSampler", "EGApplyGuidance", "EGFixMissingObjects")
STARTS = ("EGGuideWithText", "EGGuideWithImage", "EGPlaceWords")
LONG = "a name that is longer than a line of the legend, of "


def known(desk: Desk, page: dict[str, Any]) -> bool:
    """Whether this ComfyUI has every node of a workflow."""
    there = set(desk.run("() => Object.keys(LiteGraph.registered_node_types)"))
    return {node["type"] for node in page["nodes"]} - {"MarkdownNote", "Note"} <= there


def laid_out(desk: Desk) -> list[dict[str, Any]]:
    """All nodes as rectangles, after the last that comes of itself."""
    desk.until(WORDS)
    return desk.run(RECTS)


def overlaps(rects: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Pairs of nodes of which one lies on the other."""

    def apart(one: list[float], other: list[float], axis: int) -> bool:
        first, second = sorted((one, other), key=lambda rect: rect[axis])
        return first[axis] + first[axis + 2] <= second[axis] + 1

    return [
        (one["name"], other["name"])
        for one, other in combinations(rects, 2)
        if not any(apart(one["rect"], other["rect"], axis) for axis in (0, 1))
    ]


@pytest.fixture(scope="module", params=[False, True], ids=["classic", "nodes2"])
def canvas(opened: Desk, request: pytest.FixtureRequest):
    """The window, drawn by one of the two renderers."""
    if request.param and opened.version < NODES2:
        pytest.skip("this frontend's Nodes 2.0 show no elements of extensions")
    opened.setting("Comfy.VueNodes.Enabled", request.param)
    yield opened
    opened.setting("Comfy.VueNodes.Enabled", False)


@pytest.fixture(scope="module", autouse=True)
def pictures(opened: Desk):
    """What the server would send of files."""

    def give(route: Route) -> None:
        name = parse_qs(urlsplit(route.request.url).query)["filename"][0]
        if not (size := re.fullmatch(r"(\d+)x(\d+)\.png", name)):
            return route.fulfill(body=sheet(255)) if name == "maps0.png" else route.continue_()
        data = io.BytesIO()
        Image.new("RGB", (int(size[1]), int(size[2])), "teal").save(data, "PNG")
        return route.fulfill(body=data.getvalue())

    opened.page.route("**/view?*", give)
    yield
    opened.page.unroute("**/view?*", give)


def size_of(page: dict[str, Any]) -> tuple[int, int]:
    """Width and height of the images of a template: those of its latent."""
    latents = [n for n in page["nodes"] if any(one["type"] == "LATENT" for one in n["outputs"])]
    sizes = [n["widgets_values"][:2] for n in latents if "Empty" in n["type"] or "Wan" in n["type"]]
    return (sizes or [(512, 512)])[0]


def shown(desk: Desk, page: dict[str, Any]) -> None:
    """Open a workflow, with all of it in the window."""
    desk.clear()
    desk.open(page)
    desk.run("() => { app.canvas.ds.scale = 0.4; app.canvas.ds.offset = [100, 100]; }")


def kept(saved: dict[str, Any]) -> dict[int, Any]:
    """What a workflow says, without where its nodes stand."""
    return {node["id"]: (node["type"], node.get("widgets_values")) for node in saved["nodes"]}


def opens_readable(desk: Desk, page: dict[str, Any], least: float) -> None:
    """The gallery opens it at no smaller a zoom."""
    shown(desk, page)
    # Older frontends fit nothing into their window.
    if desk.version >= NODES2:
        assert desk.run(FITTED) >= least


def opens_whole(desk: Desk, page: dict[str, Any]) -> None:
    """Nothing is missing, and what is saved opens again as the same."""
    missing = "() => app.graph.nodes.filter((n) => !LiteGraph.registered_node_types[n.type])"
    notes = desk.run(f"{missing}.map((node) => node.type)")
    assert not set(notes) - {"MarkdownNote", "Note"}
    first = kept(desk.saved())
    for node in page["nodes"]:
        if values := node.get("widgets_values"):
            # Later versions may have added widgets at the end, never between.
            assert first[node["id"]][1][: len(values)] == values
    assert not desk.complaints
    shown(desk, desk.saved())
    desk.comes(lambda: kept(desk.saved()), first)


def run_told(desk: Desk, page: dict[str, Any]) -> None:
    """Tell the page all that a run would."""
    terms = {f"ClipText {LONG}{number}": [1.0] for number in range(3)}
    rows = [row(step, terms=terms, push=[40.0], spread=0.5) for step in range(3)]
    for node in page["nodes"]:
        number, kind = str(node["id"]), node["type"]
        output = {"node": number, "display_node": number, "prompt_id": "p"}
        if kind in (*GUIDED, *STARTS):
            tell(desk, "energy_guidance.monitor", message(node["id"], rows, interrupted=True))
        if kind in TOLD:
            text = "\n".join(f"a line of what was found {line}" for line in range(6))
            tell(desk, "energy_guidance.note", {"node": number, "prompt_id": "p", "text": text})
        if kind in OUTPUTS:
            animated = {"animated": [True]} if kind == "SaveAnimatedWEBP" else {}
            width, height = (640, 640) if kind == "EGPlotTrace" else size_of(page)
            images = {"images": [file(f"{width}x{height}.png")] * 2}
            tell(desk, "executed", {**output, "output": {**images, **animated}})
        if kind == "EGShowAttention":
            maps = facts(maps=[file("maps0.png")] * 2)
            tell(desk, "executed", {**output, "output": {"energy_guidance_attention": [maps]}})


def on_frontends() -> list[Any]:
    """All templates; newer frontends are shown those with a node that none before them has."""
    seen: set[str] = set()
    found = []
    for name in NAMES:
        own = {node["type"] for node in workflow(name)["nodes"] if node["type"].startswith("EG")}
        found.append(pytest.param(name, marks=pytest.mark.frontends if own - seen else ()))
        seen |= own
    return found


@pytest.mark.parametrize("name", on_frontends())
def test_a_template_opens_whole_and_readable_and_no_node_lies_on_another(
    canvas: Desk, name: str
) -> None:
    page = workflow(name)
    if not known(canvas, page):
        pytest.skip("this ComfyUI lacks a node")
    opens_readable(canvas, page, LEAST_ZOOM.get(name, 0.58 if name in FIRST_HOUR else 0.45))
    # The same in both renderers.
    if not canvas.run("() => LiteGraph.vueNodesMode"):
        opens_whole(canvas, page)
    before = laid_out(canvas)
    assert not overlaps(before), "before a run"
    run_told(canvas, page)
    after = laid_out(canvas)
    assert not overlaps(after), "after a run"
    grown = [one["name"] for one, other in zip(before, after, strict=True) if one != other]
    assert not grown
    assert not canvas.complaints


def quick(page: dict[str, Any], desk: Desk) -> None:
    """Few steps and one image."""
    for node in page["nodes"]:
        desk.set(node["type"], steps=2, batch_size=1, cutouts=0, recurrences=1, backward_steps=0)


@pytest.mark.parametrize(
    ("canvas", "name"), [(False, "text-guided"), (True, "move-object")], indirect=["canvas"]
)
def test_a_run_moves_nothing(canvas: Desk, name: str) -> None:
    page = workflow(name)
    shown(canvas, page)
    quick(page, canvas)
    before = laid_out(canvas)
    assert canvas.pictures()
    assert laid_out(canvas) == before
