"""Where the nodes of a template stand: in columns, none on another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tools.templates.definitions import Info, inputs
from tools.templates.graph import Graph, Node

WIDTH, GAP = 300, 60
HEADER = 30  # of a node, above its place
ROW, WIDGET, EDGE = 20, 24, 14
TEXT = 90  # of a field of several lines
# Rooms that panels and images take on the canvas.
PANELS = {
    "EGApplyGuidance": 150,
    "EGEnergyBox": 330,
    "EGSchedule": 190,
    "EGTokens": 90,
    "EGPlotTrace": 400,
    "LoadImage": 240,
    "SaveImage": 300,
    "SaveAnimatedWEBP": 300,
}
# What of a window of 1366 x 768 pixels ComfyUI's bars leave free, and where it begins.
WINDOW, EDGES = (1250, 620), (80, 130)
READABLE = 0.7
NOTE_LETTERS, NOTE_LINE = 38, 20


class Place(NamedTuple):
    """A node's corner and size in units of the canvas."""

    x: int
    y: int
    width: int
    height: int


def places(graph: Graph, note: str, info: Info) -> dict[int, Place]:
    """A place for each node by its number, and for the note, whose number is the next.

    The note stands below the loaders, where the eye begins.
    """
    found: dict[int, Place] = {}
    bottoms: dict[int, int] = {}
    for node in graph.nodes:
        y = bottoms.get(node.column, 0)
        x = node.column * (WIDTH + GAP)
        found[node.id] = Place(x, y, WIDTH, height(node, info))
        bottoms[node.column] = y + found[node.id].height + HEADER + GAP
    last = max(node.id for node in graph.nodes) + 1
    found[last] = Place(0, bottoms.get(0, 0), WIDTH, _note_height(note))
    return found


def view(places: Iterable[Place]) -> dict[str, Any]:
    """Scale and offset at which a window of usual size shows all, or else begins at the loaders."""
    places = list(places)
    right = max(place.x + place.width for place in places)
    bottom = max(place.y + place.height for place in places)
    scale = min(WINDOW[0] / right, WINDOW[1] / bottom, 1.0)
    scale = max(round(scale, 2), READABLE)
    return {"scale": scale, "offset": [round(EDGES[0] / scale), round(EDGES[1] / scale)]}


def height(node: Node, info: Info) -> int:
    """Height of a node with its widgets and its panel."""
    every = inputs(info, node.kind)
    widgets = [one for one in every if one.is_widget]
    rows = max(len(every) - len(widgets), len(info[node.kind]["output"]))
    fields = sum(bool(one.options.get("multiline")) for one in widgets)
    seeds = sum(one.is_seed for one in widgets)
    small = len(widgets) - fields + seeds
    return ROW * rows + WIDGET * small + TEXT * fields + EDGE + PANELS.get(node.kind, 0)


def _note_height(note: str) -> int:
    lines = sum(1 + len(line) // NOTE_LETTERS for line in note.split("\n"))
    return 40 + NOTE_LINE * lines
