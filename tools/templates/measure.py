"""Measure how large nodes are after a run, in both renderers, for the layout of the templates.

    python -m tools.templates.measure http://127.0.0.1:8188 ...

Needs Chromium, and one ComfyUI or several with this pack, whose frontends have Nodes 2.0. Writes
sizes.json: the least height of each kind of node that templates use, and of all of the pack, at the
width of a column: the largest of what the frontends show.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.host.server import Server
from tests.web.conftest import OPTIONS, _chromium
from tests.web.desk import FOLDER, Desk
from tools.templates.layout import SIZES, WIDTH

RENDERERS = (False, True)  # whether Nodes 2.0 draws
# Adds the nodes, some at a time, and gives their heights once none has changed for a while.
MEASURE = """async ([kinds, width]) => {
    const least = {};
    for (const kind of kinds) {
        const node = LiteGraph.createNode(kind);
        node.pos = [0, 0];
        app.graph.add(node);
        node.setSize([width, node.computeSize()[1]]);
        least[kind] = node.id;
    }
    const heights = () => kinds.map((kind) => {
        const node = app.graph.getNodeById(least[kind]);
        return Math.max(node.size[1], node.computeSize()[1]);
    });
    for (let before = "", same = 0; same < 20; ) {
        await new Promise(requestAnimationFrame);
        app.canvas.setDirty(true, true);
        const now = heights().join();
        same = now === before ? same + 1 : 0;
        before = now;
    }
    return Object.fromEntries(kinds.map((kind, index) => [kind, Math.ceil(heights()[index])]));
}"""
AT_ONCE = 12


def kinds(desk: Desk) -> list[str]:
    """What templates use, and all of the pack, that this ComfyUI has."""
    files = FOLDER.glob("*.json")
    used = {node["type"] for file in files for node in json.loads(file.read_text("utf-8"))["nodes"]}
    there = desk.run("() => Object.keys(LiteGraph.registered_node_types)")
    return sorted(kind for kind in there if kind in used or kind.startswith("EG"))


def measured(desk: Desk) -> dict[str, int]:
    """The least height of each kind."""
    found: dict[str, int] = {}
    for renderer in RENDERERS:
        desk.setting("Comfy.VueNodes.Enabled", renderer)
        every = kinds(desk)
        for first in range(0, len(every), AT_ONCE):
            desk.clear()
            some = desk.run(MEASURE, [every[first : first + AT_ONCE], WIDTH])
            found |= {kind: max(height, found.get(kind, 0)) for kind, height in some.items()}
    desk.clear()
    return found


def main(*addresses: str) -> None:
    """Measure in every ComfyUI, and keep the largest."""
    found: dict[str, int] = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=_chromium(), args=OPTIONS)
        for address in addresses:
            page = browser.new_page(viewport={"width": 1366, "height": 768})
            server = Server(address.removeprefix("http://").strip("/"), Path())
            for kind, height in measured(Desk(page, server)).items():
                found[kind] = max(height, found.get(kind, 0))
        browser.close()
    SIZES.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
