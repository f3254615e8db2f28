"""Write the blueprints of the one-node starts into subgraphs/: a start, its prompts and a sampler.

    python -m tools.blueprints http://127.0.0.1:8188

The ComfyUI must have this pack: it says which inputs the nodes have, and their defaults. Those of
the pack's older blueprints, made by hand, are left as they are.
"""

from __future__ import annotations

import json
import sys
import urllib.request
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tools.templates import page
from tools.templates.definitions import Info, inputs
from tools.templates.graph import Graph, Link, Node

FOLDER = Path(__file__).resolve().parents[1] / "subgraphs"
NAMESPACE = uuid.UUID("5b0c4d7e-8f0a-4f0e-9d55-3a4b5f2a9c11")
INPUT, OUTPUT = -10, -20  # ids of a subgraph's own inputs and outputs
ROW = 20
SAMPLER = ("seed", "steps", "cfg", "sampler_name", "scheduler")
STOCK = {"sampler_name": "euler", "scheduler": "normal"}  # what else it has is its own default
PROMPT = "a cat and a dog in a meadow"
BOXES = "cat: 0.05 0.3 0.45 0.9\ndog: 0.55 0.3 0.95 0.9"


class Start(NamedTuple):
    """A blueprint: the start that it is made of.

    Arguments:
        kind: class of the node.
        name: of the blueprint.
        about: what it does, in a sentence.
        sockets: what it takes besides the model.
        widgets: which widgets of the node it shows.
        values: of widgets whose default does not run.
        encodes: whether the node encodes the prompt itself.
    """

    kind: str
    name: str
    about: str
    sockets: tuple[str, ...]
    widgets: tuple[str, ...]
    values: dict[str, Any] = {}
    encodes: bool = False


STRENGTH = ("strength", "amount")
STARTS = (
    Start(
        "EGGuideWithText",
        "Guide with Text",
        "Makes images fit a sentence, as a CLIP network in models/guidance judges them.",
        ("vae",),
        ("text", *STRENGTH),
        {"text": "warm light of the evening"},
    ),
    Start(
        "EGGuideWithImage",
        "Guide with Image",
        "Gives images the style, the likeness, the structure or the palette of a reference.",
        ("image", "vae"),
        ("copy", *STRENGTH),
    ),
    Start(
        "EGPlaceWords",
        "Place Words in Boxes",
        "Puts objects of the prompt where their boxes are. Open it to draw them.",
        ("clip",),
        ("boxes", *STRENGTH),
        {"boxes": BOXES},
        encodes=True,
    ),
    Start(
        "EGKeepFromImage",
        "Keep from Image",
        "Keeps the layout or the look of an image while the prompt makes a new one.",
        ("image", "vae", "latent_image"),
        ("keep", *STRENGTH),
    ),
    Start(
        "EGFixMissingObjects",
        "Fix Missing Objects",
        "Brings back objects of the prompt that a model leaves out or mixes up.",
        ("clip",),
        ("objects", *STRENGTH),
        encodes=True,
    ),
)


class Shown(NamedTuple):
    """An input of a blueprint.

    Arguments:
        name: of it.
        ends: numbers of nodes with the names of their inputs.
    """

    name: str
    ends: tuple[tuple[int, str], ...]


def parts(start: Start) -> tuple[Graph, list[Shown], list[tuple[str, Link]]]:
    """Nodes of a blueprint, what it shows of them, and what it gives."""
    graph, wanted = Graph(), Link(INPUT, 0)
    takes = dict.fromkeys(("model", *start.sockets), wanted)
    prompt = {"text": PROMPT} if start.encodes else {}
    begin = graph.add(start.kind, 0, **takes, **prompt, **start.values)
    encode = lambda title, text: graph.add("CLIPTextEncode", 0, title, clip=wanted, text=text)
    positive = begin if start.encodes else encode("Prompt", PROMPT)
    negative = encode("Negative", "")
    conds = {"positive": positive[1 if start.encodes else 0], "negative": negative[0]}
    sampler = graph.add("KSampler", 1, model=begin[0], **conds, latent_image=wanted, **STOCK)
    decode = graph.add("VAEDecode", 2, samples=sampler[0], vae=wanted)
    shown = _shown(start, begin, positive, negative, sampler, decode)
    trace = begin[2 if start.encodes else 1]
    return graph, shown, [("IMAGE", decode[0]), ("LATENT", sampler[0]), ("trace", trace)]


def _shown(
    start: Start, begin: Node, positive: Node, negative: Node, sampler: Node, decode: Node
) -> list[Shown]:
    own = lambda name: [(begin.id, name)] if name in start.sockets else []
    encoders = [node for node in (positive, negative) if node.kind == "CLIPTextEncode"]
    clips = [(node.id, "clip") for node in encoders]
    sockets = {
        "model": [(begin.id, "model")],
        "clip": [*own("clip"), *clips],
        "vae": [*own("vae"), (decode.id, "vae")],
        "image": own("image"),
        "latent_image": [*own("latent_image"), (sampler.id, "latent_image")],
    }
    widgets = {"prompt": (positive.id, "text"), "negative": (negative.id, "text")}
    widgets |= {name: (begin.id, name) for name in start.widgets}
    widgets |= {name: (sampler.id, name) for name in SAMPLER}
    # A sentence beside a prompt needs a name of its own.
    called = lambda name: "sentence" if (name, start.encodes) == ("text", False) else name
    found = [Shown(name, tuple(ends)) for name, ends in sockets.items() if ends]
    return found + [Shown(called(name), (end,)) for name, end in widgets.items()]


def blueprint(start: Start, info: Info) -> dict[str, Any]:
    """The file of a blueprint, by what a ComfyUI says of its nodes."""
    graph, shown, given = parts(start)
    laid = page.page(start.name, graph, "", info)
    nodes = {node["id"]: node for node in laid["nodes"] if node["type"] != "MarkdownNote"}
    links = [_link(*link[1:]) for link in laid["links"] if link[1] != INPUT]
    kinds = {one.name: _input_of(one, graph, info) for one in shown}
    ins = [_end(start, s.name, kinds[s.name].kind, 20 + ROW * k) for k, s in enumerate(shown)]
    for slot, (one, entry) in enumerate(zip(shown, ins, strict=True)):
        for number, name in one.ends:
            place = [i["name"] for i in nodes[number]["inputs"]].index(name)
            links.append(_link(INPUT, slot, number, place, entry["type"]))
    outs = []
    for slot, (name, link) in enumerate(given):
        kind = nodes[link.node]["outputs"][link.slot]["type"]
        outs.append(_end(start, name, kind, 20 + ROW * slot))
        links.append(_link(link.node, link.slot, OUTPUT, slot, kind))
    _numbered(links, nodes, ins, outs)
    inside = _inside(start, list(nodes.values()), links, ins, outs)
    return _file(start, inside, shown, kinds)


def _input_of(shown: Shown, graph: Graph, info: Info) -> Any:
    number, name = shown.ends[0]
    (node,) = (node for node in graph.nodes if node.id == number)
    return next(one for one in inputs(info, node.kind) if one.name == name)


def _link(origin: int, slot: int, target: int, place: int, kind: str) -> dict[str, Any]:
    ends = {"origin_id": origin, "origin_slot": slot, "target_id": target, "target_slot": place}
    return {"id": 0, **ends, "type": kind}


def _end(start: Start, name: str, kind: str, y: int) -> dict[str, Any]:
    key = str(uuid.uuid5(NAMESPACE, f"{start.name} {name} {kind}"))
    return {"id": key, "name": name, "type": kind, "linkIds": [], "label": name, "pos": [0, y]}


def _numbered(
    links: list[dict[str, Any]],
    nodes: dict[int, dict[str, Any]],
    ins: Sequence[dict[str, Any]],
    outs: Sequence[dict[str, Any]],
) -> None:
    """Give every link a number, and tell both of its ends."""
    for node in nodes.values():
        for socket in node["inputs"]:
            socket["link"] = None
        for socket in node["outputs"]:
            socket["links"] = []
    for number, link in enumerate(links, 1):
        link["id"] = number
        origin, slot, target, place = (link[key] for key in list(link)[1:5])
        if origin == INPUT:
            ins[slot]["linkIds"].append(number)
        else:
            nodes[origin]["outputs"][slot]["links"].append(number)
        if target == OUTPUT:
            outs[place]["linkIds"].append(number)
        else:
            nodes[target]["inputs"][place]["link"] = number


def _inside(
    start: Start,
    nodes: list[dict[str, Any]],
    links: list[dict[str, Any]],
    ins: list[dict[str, Any]],
    outs: list[dict[str, Any]],
) -> dict[str, Any]:
    corner = min(node["pos"][0] for node in nodes)
    for node in nodes:
        node["pos"][0] -= corner
    right = max(node["pos"][0] + node["size"][0] for node in nodes)
    last = {"lastGroupId": 0, "lastNodeId": len(nodes), "lastLinkId": len(links)}
    frame = lambda number, x, rows: {"id": number, "bounding": [x, 0, 120, ROW * (rows + 2)]}
    return {
        "id": str(uuid.uuid5(NAMESPACE, start.name)),
        "version": 1,
        "state": {**last, "lastRerouteId": 0},
        "revision": 0,
        "config": {},
        "name": start.name,
        "inputNode": frame(INPUT, -220, len(ins)),
        "outputNode": frame(OUTPUT, right + 60, len(outs)),
        "inputs": [{**one, "pos": [-120, one["pos"][1]]} for one in ins],
        "outputs": [{**one, "pos": [right + 80, one["pos"][1]]} for one in outs],
        "widgets": [],
        "nodes": nodes,
        "groups": [],
        "links": links,
        "extra": {},
        "category": "Energy Guidance",
        "description": start.about,
    }


def _file(
    start: Start, inside: dict[str, Any], shown: Sequence[Shown], kinds: dict[str, Any]
) -> dict[str, Any]:
    number = len(inside["nodes"]) + 1
    names = {one.name: kinds[one.name].is_widget for one in shown}
    widget = lambda name: {"widget": {"name": name}} if names[name] else {}
    ins = [
        {"label": e["name"], "name": e["name"], "type": e["type"], **widget(e["name"])}
        for e in inside["inputs"]
    ]
    outs = [{"name": e["name"], "type": e["type"], "links": []} for e in inside["outputs"]]
    proxies = [[str(k), n] for one in shown if names[one.name] for k, n in one.ends]
    sampler = next(node["id"] for node in inside["nodes"] if node["type"] == "KSampler")
    outside = {
        "id": number,
        "type": inside["id"],
        "pos": [0, 0],
        "size": [300, 420],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [{**one, "link": None} for one in ins],
        "outputs": outs,
        "properties": {"proxyWidgets": [*proxies, [str(sampler), "control_after_generate"]]},
        "widgets_values": [],
        "title": start.name,
    }
    head = {"revision": 0, "last_node_id": number, "last_link_id": 0}
    tail = {"version": 0.4, "definitions": {"subgraphs": [inside]}}
    return {**head, "nodes": [outside], "links": [], **tail}


def main(address: str) -> None:
    """Write every blueprint."""
    with urllib.request.urlopen(f"{address}/object_info", timeout=60) as answer:
        info = json.load(answer)
    for start in STARTS:
        text = json.dumps(blueprint(start, info), indent=1, ensure_ascii=False)
        (FOLDER / f"{start.name}.json").write_text(text + "\n", encoding="utf-8")
        print(start.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
