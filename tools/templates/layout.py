"""Where the nodes of a template stand: in columns, none on another."""

from __future__ import annotations

from typing import NamedTuple

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
NOTE_WIDTH, NOTE_LETTERS, NOTE_LINE = 420, 52, 20


class Place(NamedTuple):
    """A node's corner and size in units of the canvas."""

    x: int
    y: int
    width: int
    height: int


def places(graph: Graph, note: str, info: Info) -> dict[int, Place]:
    """A place for each node by its number, and for the note, whose number is the next."""
    found: dict[int, Place] = {}
    bottoms: dict[int, int] = {}
    for node in graph.nodes:
        y = bottoms.get(node.column, 0)
        x = NOTE_WIDTH + GAP + node.column * (WIDTH + GAP)
        found[node.id] = Place(x, y, WIDTH, height(node, info))
        bottoms[node.column] = y + found[node.id].height + HEADER + GAP
    found[len(graph.nodes) + 1] = Place(0, 0, NOTE_WIDTH, _note_height(note))
    return found


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
