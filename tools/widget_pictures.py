"""Draw docs/monitor.png: the monitor of an example after its run, on a ComfyUI.

    python -m tools.widget_pictures http://127.0.0.1:8188

Needs Chromium, and a ComfyUI that has this pack.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.host.server import CHECKOUT, Server
from tests.web.conftest import OPTIONS, _chromium
from tests.web.desk import Desk, workflow

EXAMPLE, NODE = "classifier-guided", "EGApplyGuidance"
LEFT, TOP, EDGE = 300, 150, 6
# Puts the node where nothing covers it, and gives its size.
SHOW = """([kind, left, top]) => {
    const node = app.graph.nodes.find((one) => one.type === kind);
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [left - node.pos[0], top - node.pos[1]];
    app.canvas.setDirty(true, true);
    return [...node.size];
}"""


def main(address: str) -> None:
    """Run the example, and take the picture of its node."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=_chromium(), args=OPTIONS)
        page = browser.new_page(viewport={"width": 1366, "height": 900})
        desk = Desk(page, Server(address.removeprefix("http://").strip("/"), Path()))
        desk.setting("Comfy.VueNodes.Enabled", False)
        desk.open(workflow(EXAMPLE))
        desk.pictures()
        width, height = desk.run(SHOW, [NODE, LEFT, TOP])
        desk.rest(".eg-monitor .eg-plot")
        place = {"x": LEFT - EDGE, "y": TOP - 30 - EDGE, "width": width, "height": height + 30}
        place["width"] += 2 * EDGE
        place["height"] += 2 * EDGE
        page.screenshot(path=CHECKOUT / "docs" / "monitor.png", clip=place)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
