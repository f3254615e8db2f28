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
WIDTH, ACROSS, DOWN = 300, 45, 60  # of a column, and the gaps between nodes
HEADER = 30  # of a node, above its place
TEXT = 40  # of a field of several lines, more than the least
# Room for the images that nodes show after a run.
IMAGE = 300
IMAGES = {"PreviewImage", "SaveImage", "SaveAnimatedWEBP", "EGPlotTrace"}
# The gallery shows a template in three quarters of a window, with a margin around the nodes.
FITTED, MARGIN = (0.75 * 1366, 0.75 * 768), 10
CLEARLY = 1.03  # times as large
# What of a window of 1366 x 768 pixels ComfyUI's bars leave free, and where it begins.
WINDOW, EDGES = (1250, 620), (80, 130)
READABLE = 0.7
NOTE_LETTERS, NOTE_LINE = 48, 16


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
    last = max(node.id for node in graph.nodes) + 1
    tall = {node.id: height(node, info) for node in graph.nodes} | {last: _note_height(note)}
    count = 1 + max(node.column for node in graph.nodes)
    stacks = [[node.id for node in graph.nodes if node.column == column] for column in range(count)]
    return _stacked(_narrower([stack for stack in stacks if stack], tall, last), tall)


def _narrower(stacks: list[list[int]], tall: dict[int, int], note: int) -> list[list[int]]:
    """Columns cut in two, as long as the gallery then shows the template clearly larger.

    No link runs backwards then either: nodes of a column stand in the order in which they run.
    """
    whole = [[*stacks[0], note], *stacks[1:]]
    cut = [
        [*stacks[:column], stacks[column][:place], stacks[column][place:], *stacks[column + 1 :]]
        for column in range(len(stacks))
        for place in range(1, len(stacks[column]))
    ]
    zoom = lambda one: fitted(_stacked([[*one[0], note], *one[1:]], tall).values())
    best = max(cut, key=zoom, default=stacks)
    if best is stacks or zoom(best) < CLEARLY * fitted(_stacked(whole, tall).values()):
        return whole
    return _narrower(best, tall, note)


def _stacked(stacks: list[list[int]], tall: dict[int, int]) -> dict[int, Place]:
    """A place for each number: columns side by side, their nodes one below the other."""
    found = {}
    for column, stack in enumerate(stacks):
        y = 0
        for number in stack:
            found[number] = Place(column * (WIDTH + ACROSS), y, WIDTH, tall[number])
            y += tall[number] + HEADER + DOWN
    return found


def fitted(places: Iterable[Place]) -> float:
    """The zoom at which the gallery opens nodes in a window of 1366 x 768 pixels."""
    right, bottom = _corner(places)
    width, height = right + 2 * MARGIN, bottom + HEADER + 2 * MARGIN
    return min(FITTED[0] / width, FITTED[1] / height)


def _corner(places: Iterable[Place]) -> tuple[int, int]:
    """The right and the lower edge of all."""
    places = list(places)
    right = max(place.x + place.width for place in places)
    return right, max(place.y + place.height for place in places)


def view(places: Iterable[Place]) -> dict[str, Any]:
    """Scale and offset at which a window of usual size shows all, or else begins at the loaders."""
    right, bottom = _corner(places)
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
