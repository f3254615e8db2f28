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
from tools.templates.graph import Graph, Link, Node

SIZES = Path(__file__).with_name("sizes.json")
WIDTH, ACROSS, DOWN = 300, 40, 36  # of a column, and the gaps between nodes
HEADER = 30  # of a node, above its place
TEXT = 20  # of a field of several lines, more than the least
# Room for the images that nodes show after a run.
IMAGE = 300
IMAGES = {"PreviewImage", "SaveImage", "SaveAnimatedWEBP", "EGPlotTrace"}
# The gallery shows a template in three quarters of a window, with a margin around the nodes.
FITTED, MARGIN = (0.75 * 1366, 0.75 * 768), 10
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

    The columns of the graph are cut and joined so that the gallery shows the template as large as
    it can. Nodes stand in the order in which they run, so that no link runs backwards; the note
    stands below the first of them, where the eye begins.
    """
    last = max(node.id for node in graph.nodes) + 1
    tall = {node.id: height(node, info) for node in graph.nodes} | {last: _note_height(note)}
    order = sorted(graph.nodes, key=lambda node: node.column)
    for percent in range(100, 0, -1):
        count, limit = _room(percent / 100)
        for one in (order, _packed(order, last, tall, limit)):
            if stacks := _cut(one, last, tall, count, limit):
                return _stacked(stacks, tall)
    raise ValueError("the template is too large for a window")


def _packed(order: list[Node], note: int, tall: dict[int, int], limit: float) -> list[Node]:
    """The nodes so that columns are filled: next comes the tallest that may run and still fits.

    What the graph has in its first column, the loaders, comes first.
    """
    found: list[Node] = []
    column = [note]
    while left := [node for node in order if node not in found]:
        done = {node.id for node in found}
        ready = [node for node in left if _origins(node) <= done]
        fits = [node for node in ready if _length([*column, node.id], tall) <= limit]
        column = column if fits else []
        rank = lambda node: (node.column == 0, tall[node.id])
        found.append(max(fits, key=rank) if fits else ready[0])
        column.append(found[-1].id)
    return found


def _origins(node: Node) -> set[int]:
    return {value.node for value in node.inputs.values() if isinstance(value, Link)}


def _cut(
    order: list[Node], note: int, tall: dict[int, int], count: int, limit: float
) -> list[list[int]] | None:
    """At most so many columns, none longer than a limit; None where there are none such.

    They are cut inside a column of the graph as rarely as can be, and then as even as can be.
    """
    numbers, columns = [node.id for node in order], [*(node.column for node in order), -1]
    stack = lambda first, end: [*numbers[first:end], *([] if first else [note])]

    @cache
    def best(first: int, left: int) -> tuple[int, int, list[list[int]]] | None:
        if first == len(numbers):
            return 0, 0, []
        ways = []
        for end in range(first + 1, len(numbers) + 1) if left else ():
            one = stack(first, end)
            if (length := _length(one, tall)) > limit:
                break
            if rest := best(end, left - 1):
                inside = rest[0] + (columns[end - 1] == columns[end])
                ways.append((inside, rest[1] + length**2, [one, *rest[2]]))
        return min(ways, default=None)

    found = best(0, count)
    return found and found[2]


def _length(stack: list[int], tall: dict[int, int]) -> int:
    """From the first node's corner to the last one's end."""
    return sum(tall[number] for number in stack) + (len(stack) - 1) * (HEADER + DOWN)


def _room(zoom: float) -> tuple[int, float]:
    """How many columns the gallery shows at a zoom, and how long they may be."""
    width, height = (side / zoom - 2 * MARGIN for side in FITTED)
    return int((width + ACROSS) / (WIDTH + ACROSS)), height - HEADER


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
