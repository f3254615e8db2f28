"""ComfyUI's window, as the tests use it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from tests.host.server import Server
from tools.templates.__main__ import FOLDER, names

# The host's own: files that it looks for in vain, model pages that it may not open, and its haste.
KNOWN = (
    *("Failed to load resource", "Content Security Policy", "Fetch API cannot load"),
    "graph accessed before initialization",
)
# Frontend 1.27 says so once while it loads: it sets a setting that it has not got yet.
LOADING = "Cannot read properties of undefined (reading 'id')"
# Far more than any of it takes: on a machine that draws two frames a second, all is slow.
SECONDS = 120
LOADING_SECONDS = 300
# Extensions set up, nodes known, a workflow open, and nothing of it covered.
READY = """() => window.app?.vueAppReady && app.canvas?.graph
    && app.extensionManager.workflow.activeWorkflow && !app.extensionManager.spinner
    && app.extensions.some(({ name }) => name === "EnergyGuidance.Words")
    && LiteGraph.registered_node_types.EGTokens && document.readyState === "complete" """
# Wait until nothing has moved for some frames; give where the last of each selector lies then.
REST = """async ([selectors, frames, patience]) => {
    const panels = () => (app.canvas.graph?.nodes ?? []).flatMap((node) => (node.widgets ?? [])
        .filter((widget) => widget.element?.classList.contains("eg-panel"))
        .filter((widget) => widget.element.style.display !== "none")
        .filter(() => LiteGraph.vueNodesMode || app.canvas.isNodeVisible(node))
        .filter(({ options }) => !(options.hideOnZoom && app.canvas.low_quality))
        .map((widget) => widget.element));
    const last = (selector) => [...document.querySelectorAll(selector)].at(-1);
    const rect = (element) => {
        const { x, y, width, height } = element.getBoundingClientRect();
        return { x, y, width, height };
    };
    // Nothing lies on it, so that a press would reach it.
    const free = (element) => {
        const { x, y, width, height } = rect(element);
        const top = document.elementFromPoint(x + width / 2, y + height / 2);
        return top?.closest(".eg-panel") === element.closest(".eg-panel");
    };
    const unready = () => {
        if (app.canvas.dirty_canvas || app.canvas.dirty_bgcanvas) return "the canvas is not drawn";
        if (panels().some((panel) => !panel.getClientRects().length)) return "a panel is hidden";
        const missing = selectors.find((selector) => !last(selector)?.getClientRects().length);
        if (missing) return `nothing is ${missing}`;
        const covered = selectors.find((selector) => !free(last(selector)));
        return covered && `something covers ${covered}`;
    };
    const all = () => panels().flatMap((panel) => [panel, ...panel.querySelectorAll("*")]);
    await document.fonts.ready;
    app.canvas.setDirty(true, true);
    const end = performance.now() + patience;
    for (let before = "", same = 0; same < frames; ) {
        await new Promise(requestAnimationFrame);
        const reason = unready();
        const now = reason ?? JSON.stringify(all().map(rect));
        same = !reason && now === before ? same + 1 : 0;
        before = now;
        if (performance.now() > end) throw new Error(`no rest: ${reason ?? "it still moves"}`);
    }
    return selectors.map((selector) => rect(last(selector)));
}"""
FRAMES = 4
# Queues what is open; gives the files that come out once it has run.
QUEUE = """() => new Promise((done, fail) => {
    const files = [];
    const heard = {
        executed: ({ detail }) => files.push(...(detail.output?.images ?? [])),
        execution_success: () => end(() => done(files)),
        execution_error: ({ detail }) => end(() => fail(new Error(detail.exception_message))),
    };
    const { api } = comfyAPI.api;
    const end = (then) => {
        for (const [name, hear] of Object.entries(heard)) api.removeEventListener(name, hear);
        then();
    };
    for (const [name, hear] of Object.entries(heard)) api.addEventListener(name, hear);
    const faults = () => Object.values(app.lastNodeErrors ?? {});
    const refuse = () => fail(new Error(JSON.stringify(faults())));
    app.queuePrompt(0).then(() => faults().length && end(refuse));
})"""

expect.set_options(timeout=1000 * SECONDS)


def workflow(key: str) -> dict[str, Any]:
    """A template as a saved workflow."""
    return json.loads((FOLDER / f"{names()[key]}.json").read_text(encoding="utf-8"))


class Desk:
    """One window, opened on a server."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server
        self.complaints: list[str] = []
        self.numbers = 0
        page.set_default_timeout(1000 * SECONDS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.reload()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(word in message.text for word in KNOWN):
            self.complaints.append(message.text)

    def reload(self) -> None:
        """Open the window anew."""
        self.page.goto(f"http://{self.server.address}", timeout=1000 * LOADING_SECONDS)
        self.page.wait_for_function(READY, timeout=1000 * LOADING_SECONDS)
        self.complaints[:] = [text for text in self.complaints if text != LOADING]
        self.rest()

    @property
    def version(self) -> tuple[int, ...]:
        """Of the frontend."""
        return tuple(map(int, self.run("() => __COMFYUI_FRONTEND_VERSION__").split(".")))

    def rest(self, *selectors: str) -> list[dict[str, float]]:
        """Wait until nothing moves, and tell where the last of each selector lies, in one moment.

        They must be in sight. The frontend lays its widgets out once a frame, in several rounds,
        and may hide and move them in between.
        """
        return self.run(REST, [selectors, FRAMES, 1000 * SECONDS])

    def drag(self, handle: str, right: float, down: float, of: str = "", keys: str = "") -> None:
        """Drag a handle by pixels, or by parts of the width and height of an element."""
        grip, *whole = self.rest(handle, *filter(None, [of]))
        width, height = (whole[0]["width"], whole[0]["height"]) if whole else (1, 1)
        x, y = round(grip["x"] + grip["width"] / 2), round(grip["y"] + grip["height"] / 2)
        mouse = self.page.mouse
        mouse.move(x, y)
        mouse.down()
        if keys:
            self.page.keyboard.down(keys)
        mouse.move(x + right * width / 2, y + down * height / 2)
        mouse.move(x + right * width, y + down * height)
        mouse.up()
        if keys:
            self.page.keyboard.up(keys)

    def run(self, script: str, argument: Any = None) -> Any:
        """The value of a JavaScript function of one argument."""
        return self.page.evaluate(script, argument)

    def until(self, script: str, argument: Any = None) -> None:
        """Wait until a JavaScript function gives something true."""
        self.page.wait_for_function(script, arg=argument)

    def comes(self, read: Callable[[], Any], wanted: Any) -> None:
        """Fail unless what is read equals what is wanted before long."""
        end = time.monotonic() + SECONDS
        while (found := read()) != wanted and time.monotonic() < end:
            self.page.wait_for_timeout(20)
        assert found == wanted

    def clear(self) -> None:
        """An empty canvas at its natural size."""
        # Values of widgets outlive their node in the frontend's store: no number is used twice.
        self.numbers += 100
        self.run(
            """first => {
                app.clean();
                app.graph.last_node_id = first;
                app.canvas.ds.reset();
            }""",
            self.numbers,
        )
        # A test that failed may have left it pressed.
        self.page.mouse.up()
        self.until("() => !document.querySelector('.eg-panel')")
        self.complaints.clear()

    def open(self, content: dict[str, Any]) -> None:
        """Open a saved workflow, in the tab that is there."""
        self.run(
            """content => app.loadGraphData(
                content, true, false, app.extensionManager.workflow.activeWorkflow)""",
            content,
        )

    def pictures(self) -> list[bytes]:
        """Queue what is open, and wait for the pictures that it puts out."""
        return [self.server.view(file) for file in self.run(QUEUE)]

    def saved(self) -> dict[str, Any]:
        """The open workflow as it would be saved."""
        return self.run("() => JSON.parse(JSON.stringify(app.graph.serialize()))")

    def add(self, kind: str, at: tuple[int, int] = (300, 80), **values: Any) -> int:
        """Add a node, and return its id."""
        return self.run(
            """([kind, at, values]) => {
                const node = LiteGraph.createNode(kind);
                node.pos = at;
                app.graph.add(node);
                for (const widget of node.widgets ?? [])
                    if (widget.name in values) {
                        widget.value = values[widget.name];
                        widget.callback?.(widget.value);
                    }
                return node.id;
            }""",
            [kind, list(at), values],
        )

    def set(self, kind: str, **values: Any) -> None:
        """Set widgets of every node of a kind."""
        self.run(
            """([kind, values]) => {
                for (const node of app.graph.nodes.filter((node) => node.type === kind))
                    for (const widget of node.widgets)
                        if (widget.name in values) widget.value = values[widget.name];
            }""",
            [kind, values],
        )

    def values(self, node: int) -> dict[str, Any]:
        """Values of a node's widgets that are saved."""
        return self.run(
            """id => Object.fromEntries(app.graph.getNodeById(id).widgets
                .filter((widget) => widget.serialize !== false)
                .map((widget) => [widget.name, widget.value]))""",
            node,
        )

    def id_of(self, kind: str) -> int:
        """The node of a kind."""
        return self.run("kind => app.graph.nodes.find((node) => node.type === kind).id", kind)

    def find(self, selector: str, **options: Any) -> Locator:
        """Elements of the page."""
        return self.page.locator(selector, **options)

    def setting(self, name: str, value: Any) -> None:
        """Change a setting."""
        self.run("([id, to]) => app.extensionManager.setting.set(id, to)", [name, value])
