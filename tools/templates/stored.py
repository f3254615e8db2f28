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
    "SetLatentNoiseMask",
    "PreviewImage",
    "SaveImage",
}


def graph(prompt: dict[str, Any], info: Info) -> Graph:
    """The graph of an API form; nodes that only feed others stand just before the first of them."""
    links = {key: _links(node) for key, node in prompt.items()}
    columns: dict[str, int] = {}
    for key in _in_order(links):
        apart = 0 if prompt[key]["class_type"] in BELOW else 1
        columns[key] = max((columns[origin] + apart for origin in links[key]), default=0)
    for key in reversed(_in_order(links)):
        takers = [one for one, origins in links.items() if key in origins]
        if not links[key] and takers:
            columns[key] = max(min(columns[one] for one in takers) - 1, 0)
    return Graph([_node(key, prompt[key], columns[key], info) for key in _in_order(links)])


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
