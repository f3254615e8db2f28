"""Where the nodes of a template stand: in columns, none on another, before a run and after it.

Heights are those that the frontend shows, measured by `tools.templates.measure`; the pack's panels
take theirs from the start, and images fill the room that is left for them here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tools.templates.definitions import Info, inputs
from tools.templates.graph import Graph, Node

SIZES = Path(__file__).with_name("sizes.json")
WIDTH, GAP = 300, 60
HEADER = 30  # of a node, above its place
TEXT = 40  # of a field of several lines, more than the least
# Room for the images that nodes show after a run.
IMAGE = 300
IMAGES = {"PreviewImage", "SaveImage", "SaveAnimatedWEBP", "EGPlotTrace"}
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
    """Height of a node with all that it ever shows.

    Raises:
        ValueError: a kind that has not been measured.
    """
    if node.kind not in _sizes():
        raise ValueError(
            f"the size of {node.kind} has not been measured: run tools.templates.measure on a "
            "ComfyUI that has it, with a template that uses it"
        )
    fields = sum(bool(one.options.get("multiline")) for one in inputs(info, node.kind))
    return _sizes()[node.kind] + TEXT * fields + (IMAGE if node.kind in IMAGES else 0)


@cache
def _sizes() -> dict[str, int]:
    """Least height of each kind of node."""
    sizes: dict[str, int] = json.loads(SIZES.read_text(encoding="utf-8"))
    return sizes


def _note_height(note: str) -> int:
    lines = sum(1 + len(line) // NOTE_LETTERS for line in note.split("\n"))
    return 40 + NOTE_LINE * lines
