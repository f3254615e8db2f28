"""Measure how fluently the page draws the pack's widgets: 50 nodes, panned, and a box dragged.

    python -m bench.widgets --address 127.0.0.1:8188

Needs a ComfyUI that runs with this pack, and Chromium. What counts is the page's own thread: the
milliseconds of CPU that a frame costs say how many of them fit into a second, whatever else the
machine does. Stock nodes are measured beside ours. Writes out/bench/page.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, sync_playwright

from tests.host.server import Server
from tests.web.conftest import OPTIONS, _chromium
from tests.web.desk import Desk

NODES, FRAMES, COLUMNS = 50, 120, 10
OURS = ("EGEnergyPosition", "EGSchedule", "EGTokens", "EGEnergyBox", "EGGuidedKSampler")
STOCK = ("KSampler", "CLIPTextEncode", "EmptyLatentImage", "VAEDecode", "ImageScale")
MIXES = {
    "50 stock": STOCK,
    "10 of ours, 40 stock": (*OURS, *4 * STOCK),
    "50 of ours": OURS,
}
# From afar the frontend hides text fields, and the pack its editors.
ZOOMS = {"afar": 0.36, "near": 0.7}
PACK = "/extensions/energy-guidance/"
# The last editor, in the middle of the window.
IN_SIGHT = """() => {
    const editor = app.graph.nodes.filter((node) => node.type === "EGEnergyBox").at(-1);
    app.canvas.centerOnNode(editor);
    app.canvas.setDirty(true, true);
}"""
# Each calls `move` once a frame, and gives the frames a second that the page had.
FRAME = """async ([frames, kind]) => {
    const stage = [...document.querySelectorAll(".eg-layout .eg-stage")].at(-1);
    const box = stage?.getBoundingClientRect();
    const moves = {
        rest: () => {},
        pan: (i) => {
            app.canvas.ds.offset[0] += i % 20 < 10 ? 3 : -3;
            app.canvas.setDirty(true, true);
        },
        drag: (i) => {
            const clientX = box.left + (0.3 + 0.004 * (i % 100)) * box.width;
            const clientY = box.top + (0.3 + 0.003 * (i % 100)) * box.height;
            const event = { clientX, clientY, pointerId: 1, bubbles: true };
            stage.dispatchEvent(new PointerEvent("pointermove", event));
        },
    };
    const began = performance.now();
    for (let i = 0; i < frames; i++) {
        moves[kind](i);
        await new Promise(requestAnimationFrame);
    }
    return (1000 * frames) / (performance.now() - began);
}"""


def laid_out(desk: Desk, kinds: tuple[str, ...], zoom: float) -> None:
    """Fifty nodes; those in sight are all of them from afar, and fewer from near."""
    desk.clear()
    for index in range(NODES):
        at = (360 * (index % COLUMNS), 620 * (index // COLUMNS))
        desk.add(kinds[index % len(kinds)], at=at)
    where = "zoom => { app.canvas.ds.scale = zoom; app.canvas.ds.offset = [150, 60]; }"
    desk.run(where, zoom)
    desk.rest()


def cost(desk: Desk, session: CDPSession, kind: str) -> dict[str, float]:
    """CPU milliseconds of a frame: the page's thread, its layout, the pack's own code; frames."""
    before = _busy(session)
    rate = desk.run(FRAME, [FRAMES, kind])
    after = _busy(session)
    # Once more: to be watched costs time.
    session.send("Profiler.start")
    desk.run(FRAME, [FRAMES, kind])
    own = _own(session.send("Profiler.stop")["profile"])
    spent = {name: 1000 * (after[name] - before[name]) / FRAMES for name in before}
    return {**spent, "own": own / FRAMES, "fps": rate}


def _busy(session: CDPSession) -> dict[str, float]:
    """Seconds that the page's thread has worked, and that of them it has laid out and styled."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    value = {one["name"]: one["value"] for one in metrics}
    return {
        "ms": value["TaskDuration"],
        "script": value["ScriptDuration"],
        "layout": value["LayoutDuration"] + value["RecalcStyleDuration"],
    }


def _own(profile: dict[str, Any]) -> float:
    """Milliseconds in functions of the pack, and in what they called of the browser."""
    parent = {child: node["id"] for node in profile["nodes"] for child in node.get("children", ())}
    address = {node["id"]: node["callFrame"]["url"] for node in profile["nodes"]}

    def ours(node: int) -> bool:
        while not address[node] and node in parent:
            node = parent[node]
        return PACK in address[node]

    pairs = zip(profile["samples"], profile["timeDeltas"], strict=True)
    return sum(delta for node, delta in pairs if ours(node)) / 1000


def dragged(desk: Desk, session: CDPSession) -> dict[str, float]:
    """A frame while a box is dragged over the image."""
    desk.run(IN_SIGHT)
    (grip,) = desk.rest('.eg-layout [data-handle="move"]')
    mouse = desk.page.mouse
    mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    mouse.down()
    measured = cost(desk, session, "drag")
    mouse.up()
    return measured


def measure(desk: Desk, session: CDPSession, repeats: int) -> dict[str, dict[str, float]]:
    """Medians by what is done to which nodes."""
    found: dict[str, list[dict[str, float]]] = {}
    note = lambda name, seen: found.setdefault(name, []).append(seen)
    for _ in range(repeats):
        for name, kinds in MIXES.items():
            for where, zoom in ZOOMS.items():
                laid_out(desk, kinds, zoom)
                note(f"{name}, {where}, panned", cost(desk, session, "pan"))
                if zoom == ZOOMS["near"] and kinds is not STOCK:
                    note(f"{name}, {where}, box dragged", dragged(desk, session))
    middle = lambda runs, key: round(statistics.median(run[key] for run in runs), 2)
    return {name: {key: middle(runs, key) for key in runs[0]} for name, runs in found.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="bench.widgets", description=__doc__.splitlines()[0])
    parser.add_argument("--address", required=True, help="host:port of a ComfyUI with this pack")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    options = parser.parse_args()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=_chromium(), args=OPTIONS)
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        session.send("Profiler.enable")
        session.send("Profiler.setSamplingInterval", {"interval": 200})
        desk = Desk(page, Server(options.address, Path()))
        report: dict[str, Any] = measure(desk, session, options.repeats)
        report["browser"] = browser.version
        browser.close()
    for name, numbers in report.items():
        print(name, numbers)
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2) + "\n"
    (options.out / "page.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
