"""A template in the two forms that ComfyUI reads: for its page and for its API."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from tools.templates import layout
from tools.templates.definitions import Info, Input, inputs, values
from tools.templates.graph import File, Graph, Link, Node

NAMESPACE = uuid.UUID("e9f7c2a8-31d5-4d0e-9a41-0c6f4d0f6c55")
NOTE = {"color": "#432", "bgcolor": "#653"}


def api(graph: Graph, info: Info) -> dict[str, Any]:
    """The form that is sent to the server."""
    return {
        str(node.id): {
            "class_type": node.kind,
            "inputs": {
                name: [str(value.node), value.slot] if isinstance(value, Link) else value
                for name, value in values(info, node.kind, node.inputs).items()
            },
            "_meta": {"title": node.title or info[node.kind]["display_name"] or node.kind},
        }
        for node in graph.nodes
    }


def page(name: str, graph: Graph, note: str, info: Info) -> dict[str, Any]:
    """The form that the page opens and saves."""
    places = layout.places(graph, note, info)
    links = _links(graph, info)
    nodes = [_node(node, places[node.id], links, info) for node in graph.nodes]
    last = max(node.id for node in graph.nodes) + 1
    nodes.append(_note(last, note, places[last]))
    return {
        "id": str(uuid.uuid5(NAMESPACE, name)),
        "revision": 0,
        "last_node_id": last,
        "last_link_id": len(links),
        "nodes": nodes,
        "links": links,
        "groups": [],
        "config": {},
        "extra": {"ds": layout.view(places.values())},
        "version": 0.4,
        "models": [_model(file) for file in graph.files],
    }


def _links(graph: Graph, info: Info) -> list[list[Any]]:
    """Number, origin and its slot, target and its slot, kind of each link."""
    found: list[list[Any]] = []
    for node in graph.nodes:
        for slot, one in enumerate(_in_order(info, node)):
            link = node.inputs.get(one.name)
            if isinstance(link, Link):
                ends = [link.node, link.slot, node.id, slot]
                found.append([len(found) + 1, *ends, one.kind])
    return found


def _in_order(info: Info, node: Node) -> list[Input]:
    """Inputs as the page lists them: sockets, then widgets; it adds those that are left out.

    Optional ones are in where they are given, so that those of later versions change no template.
    """
    known = values(info, node.kind, node.inputs)
    used = [one for one in inputs(info, node.kind) if one.name in known]
    return sorted(used, key=lambda one: one.is_widget)


def _node(node: Node, place: layout.Place, links: list[list[Any]], info: Info) -> dict[str, Any]:
    into = {link[4]: link[0] for link in links if link[3] == node.id}
    properties: dict[str, Any] = {"Node name for S&R": node.kind}
    if node.files:
        properties["models"] = [_model(file) for file in node.files]
    shown = _shown(node, info)
    return {
        **_frame(node.id, node.kind, place),
        "inputs": [_input(one, into.get(k)) for k, one in enumerate(_in_order(info, node))],
        "outputs": _outputs(node, links, info),
        **({"title": node.title} if node.title else {}),
        "properties": properties,
        **({"widgets_values": shown} if shown else {}),
    }


def _frame(number: int, kind: str, place: layout.Place) -> dict[str, Any]:
    frame = {"pos": [place.x, place.y], "size": [place.width, place.height]}
    return {"id": number, "type": kind, **frame, "flags": {}, "order": number - 1, "mode": 0}


def _model(file: File) -> dict[str, str]:
    return {"name": file.name, "url": file.url, "directory": file.directory}


def _input(one: Input, link: int | None) -> dict[str, Any]:
    names = {"localized_name": one.name, "name": one.name}
    shape = {"shape": 7} if one.optional else {}  # drawn hollow: optional
    widget = {"widget": {"name": one.name}} if one.is_widget else {}
    return {**names, **shape, "type": one.kind, **widget, "link": link}


def _outputs(node: Node, links: list[list[Any]], info: Info) -> list[dict[str, Any]]:
    about: Mapping[str, Any] = info[node.kind]
    return [
        {
            "localized_name": name,
            "name": name,
            "type": kind,
            "links": [link[0] for link in links if link[1:3] == [node.id, slot]] or None,
        }
        for slot, (name, kind) in enumerate(zip(about["output_name"], about["output"], strict=True))
    ]


def _shown(node: Node, info: Info) -> list[Any]:
    """Values of widgets in order, with what the page itself puts between them."""
    found = []
    known = values(info, node.kind, node.inputs)
    for one in inputs(info, node.kind):
        if one.is_widget and one.name in known:
            value = known[one.name]
            found.append(one.options.get("default", "") if isinstance(value, Link) else value)
            found.extend(["fixed"] if one.is_seed else [])
            found.extend(["image"] if one.options.get("image_upload") else [])
    return found


def _note(number: int, note: str, place: layout.Place) -> dict[str, Any]:
    return {
        **_frame(number, "MarkdownNote", place),
        "inputs": [],
        "outputs": [],
        "title": "About",
        "properties": {},
        "widgets_values": [note],
        **NOTE,
    }
