"""A stored API form as a graph, in columns: what an output goes to never stands left of it."""

from __future__ import annotations

from typing import Any

from tools.templates.definitions import Info
from tools.templates.graph import Graph, Link, Node

# These stand below what they take, in its column: they are short, or its natural end.
BELOW = {
    "VAEEncode",
    "EGApplyGuidance",
    "EGCombineEnergies",
    "EGRecurrentSampler",
    "EGRestartSampler",
    "SetLatentNoiseMask",
    "PreviewImage",
    "SaveImage",
}


def graph(prompt: dict[str, Any], info: Info) -> Graph:
    """The graph of an API form; what only feeds others stands before the first of them."""
    links = {key: _links(node) for key, node in prompt.items()}
    order, columns, free = _in_order(links), {}, set[str]()
    takers = {key: [one for one in order if key in links[one]] for key in order}
    apart = lambda key: 0 if prompt[key]["class_type"] in BELOW else 1
    for key in order:
        columns[key] = max((columns[origin] + apart(key) for origin in links[key]), default=0)
        if all(origin in free and takers[origin] == [key] for origin in links[key]):
            free.add(key)
    for key in reversed(order):
        if key in free and takers[key]:
            latest = max(min(columns[one] - apart(one) for one in takers[key]), 0)
            columns[key] = latest if links[key] else _emptiest(columns, key, latest)
    return Graph([_node(key, prompt[key], columns[key], info) for key in order])


def _emptiest(columns: dict[str, int], key: str, latest: int) -> int:
    """The column with the fewest other nodes, up to one: the last of them."""
    others = [column for one, column in columns.items() if one != key]
    return min(range(latest + 1), key=lambda column: (others.count(column), -column))


def _links(node: dict[str, Any]) -> list[str]:
    return [value[0] for value in node["inputs"].values() if isinstance(value, list)]


def _in_order(links: dict[str, list[str]]) -> list[str]:
    """Every node after those that it takes from, and else as they are stored."""
    found: list[str] = []
    while len(found) < len(links):
        ready = [k for k in links if k not in found and all(one in found for one in links[k])]
        found.append(ready[0])
    return found


def _node(key: str, node: dict[str, Any], column: int, info: Info) -> Node:
    kind, title = node["class_type"], node["_meta"]["title"]
    inputs = {
        name: Link(int(value[0]), value[1]) if isinstance(value, list) else value
        for name, value in node["inputs"].items()
    }
    own = "" if title in (info[kind]["display_name"], kind) else title
    return Node(int(key), kind, column, own, inputs)
