"""Measure how fluently the page draws the pack's widgets: 50 nodes, panned and dragged.

    python -m bench.page --address 127.0.0.1:8188

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
OURS = ("EGEnergyBox", "EGSchedule", "EGTokens", "EGEnergyPosition", "EGGuidedKSampler")
STOCK = ("KSampler", "CLIPTextEncode", "EmptyLatentImage", "VAEDecode", "ImageScale")
MIXED = (*OURS, *4 * STOCK)
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


def laid_out(desk: Desk, kinds: tuple[str, ...]) -> None:
    """Fifty nodes, all in sight."""
    desk.clear()
    for index in range(NODES):
        at = (360 * (index % COLUMNS), 620 * (index // COLUMNS))
        desk.add(kinds[index % len(kinds)], at=at)
    desk.run("() => { app.canvas.ds.scale = 0.36; app.canvas.ds.offset = [150, 60]; }")
    desk.rest()


def cost(desk: Desk, session: CDPSession, kind: str) -> tuple[float, float]:
    """CPU milliseconds of the page's thread for one frame, and frames a second."""
    before = _busy(session)
    rate = desk.run(FRAME, [FRAMES, kind])
    return 1000 * (_busy(session) - before) / FRAMES, rate


def _busy(session: CDPSession) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(one["value"] for one in metrics if one["name"] == "TaskDuration")


def dragged(desk: Desk, session: CDPSession) -> tuple[float, float]:
    """A frame while a box is dragged over the picture."""
    (grip,) = desk.rest('.eg-layout [data-handle="move"]')
    mouse = desk.page.mouse
    mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    mouse.down()
    measured = cost(desk, session, "drag")
    mouse.up()
    return measured


def measure(desk: Desk, session: CDPSession, repeats: int) -> dict[str, dict[str, float]]:
    """Medians by what is done to which nodes."""
    found: dict[str, list[tuple[float, float]]] = {}
    note = lambda name, seen: found.setdefault(name, []).append(seen)
    for _ in range(repeats):
        laid_out(desk, STOCK)
        note("50 stock nodes, panned", cost(desk, session, "pan"))
        for name, kinds in (("10 of ours, 40 stock", MIXED), ("50 of ours", OURS)):
            laid_out(desk, kinds)
            note(f"{name}, panned", cost(desk, session, "pan"))
            note(f"{name}, box dragged", dragged(desk, session))
            note(f"{name}, nothing moves", cost(desk, session, "rest"))
    median = lambda values: round(statistics.median(values), 2)
    return {
        name: {"ms": median([ms for ms, _ in runs]), "fps": median([fps for _, fps in runs])}
        for name, runs in found.items()
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="bench.page", description=__doc__.splitlines()[0])
    parser.add_argument("--address", required=True, help="host:port of a ComfyUI with this pack")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    options = parser.parse_args()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=_chromium(), args=OPTIONS)
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
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
