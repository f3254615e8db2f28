"""ComfyUI's window, as the tests use it."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page

from tests.host.server import CHECKOUT, Server

EXAMPLES = CHECKOUT / "example_workflows"
# The host's own: files that it looks for in vain, and model pages that it may not open.
KNOWN = ("Failed to load resource", "Content Security Policy", "Fetch API cannot load")
SECONDS = 90
READY = "() => window.app?.extensionManager?.workflow?.activeWorkflow && window.app.canvas"


def workflow(name: str) -> dict[str, Any]:
    """An example as a saved workflow."""
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


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
        self.page.goto(f"http://{self.server.address}")
        self.page.wait_for_function(READY)

    def run(self, script: str, argument: Any = None) -> Any:
        """The value of a JavaScript function of one argument."""
        return self.page.evaluate(script, argument)

    def until(self, script: str, argument: Any = None) -> None:
        """Wait until a JavaScript function gives something true."""
        self.page.wait_for_function(script, arg=argument)

    def clear(self) -> None:
        """An empty canvas at its natural size."""
        # Values of widgets outlive their node in the frontend's store: no number is used twice.
        self.numbers += 100
        self.run(
            """first => {
                app.graph.clear();
                app.graph.last_node_id = first;
                app.canvas.ds.reset();
            }""",
            self.numbers,
        )
        self.complaints.clear()

    def open(self, content: dict[str, Any]) -> None:
        """Open a saved workflow, in the tab that is there."""
        self.run(
            """content => app.loadGraphData(
                content, true, false, app.extensionManager.workflow.activeWorkflow)""",
            content,
        )

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
