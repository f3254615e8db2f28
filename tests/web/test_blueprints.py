"""Subgraph blueprints in the page: its library has them, their widgets reach the nodes inside."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.host.server import Server
from tests.web.desk import Desk

STEPS = 2
# Connects the one subgraph node of the canvas to nodes outside, by socket and by output.
CONNECT = """sources => {
    const host = app.graph.nodes.find((node) => node.subgraph);
    for (const [name, [kind, slot, values]] of Object.entries(sources)) {
        if (!host.inputs.some((input) => input.name === name)) continue;
        let source = app.graph.nodes.find((node) => node.type === kind && !node.subgraph);
        if (!source) {
            source = LiteGraph.createNode(kind);
            app.graph.add(source);
            for (const widget of source.widgets ?? [])
                if (widget.name in values) widget.value = values[widget.name];
        }
        source.connect(slot, host, host.inputs.findIndex((input) => input.name === name));
    }
    for (const slot of host.outputs.keys()) {
        if (host.outputs[slot].type !== "IMAGE") continue;
        const preview = LiteGraph.createNode("PreviewImage");
        app.graph.add(preview);
        host.connect(slot, preview, 0);
    }
    return host.widgets.map((widget) => widget.name);
}"""
SET = """values => {
    const host = app.graph.nodes.find((node) => node.subgraph);
    for (const [name, value] of Object.entries(values)) {
        const widget = host.widgets.find((widget) => [widget.name, widget.label].includes(name));
        widget.value = value;
        widget.callback?.(value);
    }
}"""
PICTURE = {"width": 64, "height": 64, "batch_size": 1}
SOURCES = {
    "model": ["EGLoadShapes", 0, {}],
    "clip": ["EGLoadShapes", 1, {}],
    "vae": ["EGLoadShapes", 2, {}],
    "positive": ["CLIPTextEncode", 0, {}],
    "negative": ["CLIPTextEncode", 0, {}],
    "latent_image": ["EmptyLatentImage", 0, PICTURE],
    "image": ["EmptyImage", 0, PICTURE],
    "mask": ["SolidMask", 0, {"value": 0.0, "width": 64, "height": 64}],
}


# Takes a blueprint out of the node library, as a double click there does.
TAKE = """name => {
    const { $pinia } = document.querySelector("#vue-app").__vue_app__.config.globalProperties;
    const store = $pinia._s.get("subgraph");
    const entry = store.subgraphBlueprints.find((one) => one.display_name === name);
    const { nodes, definitions } = store.getBlueprint(entry.name);
    const parts = { nodes, subgraphs: definitions.subgraphs };
    app.canvas._deserializeItems(parts, { position: [300, 80] });
}"""


def taken(desk: Desk, name: str) -> None:
    """A blueprint on the canvas, connected to Shapes."""
    listed = requests.get(f"http://{desk.server.address}/global_subgraphs", timeout=60)
    if listed.status_code == 404:
        pytest.skip("this ComfyUI has no blueprints yet")
    desk.run(TAKE, name)
    desk.run(CONNECT, SOURCES)
    desk.run(
        """() => {
            const [shapes, encode] = ["EGLoadShapes", "CLIPTextEncode"].map((kind) =>
                app.graph.nodes.find((node) => node.type === kind));
            if (encode) shapes.connect(1, encode, 0);
        }"""
    )


def queued(desk: Desk) -> dict[str, Any]:
    """What the page would queue."""
    return desk.run("async () => (await app.graphToPrompt()).output")


def of(prompt: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [node["inputs"] for node in prompt.values() if node["class_type"] == kind]


def ran(server: Server, prompt: dict[str, Any]) -> int:
    """How many pictures a prompt puts out."""
    outcome = server.run(prompt)
    assert not outcome.of("execution_error"), outcome.error["exception_message"]
    return sum(len(part.get("images", ())) for part in outcome.history["outputs"].values())


def test_text_guided(desk: Desk, server: Server) -> None:
    taken(desk, "Text-guided")
    values = {"text": "a green square", "strength": 0.25, "seed": 5, "steps": STEPS, "cfg": 2}
    desk.run(SET, values)
    prompt = queued(desk)
    (energy,), (sampler,) = of(prompt, "EGEnergyCLIPText"), of(prompt, "EGGuidedKSampler")
    assert energy["text"] == "a green square"
    assert {name: sampler[name] for name in ("strength", "seed", "steps", "cfg")} == {
        name: values[name] for name in ("strength", "seed", "steps", "cfg")
    }
    assert ran(server, prompt) == 1


def test_move_object(desk: Desk, server: Server) -> None:
    taken(desk, "Move object")
    text = "a small green triangle"
    place = {"words": "triangle", "x": 0.8, "y": 0.2}
    desk.run(SET, {"prompt": text, "seed": 5, "steps": STEPS, "cfg": 2, **place})
    prompt = queued(desk)
    (words,), (position,) = of(prompt, "EGTokens"), of(prompt, "EGEnergyPosition")
    assert (words["words"], position["x"], position["y"]) == ("triangle", 0.8, 0.2)
    shared = {"PrimitiveStringMultiline": [text], "PrimitiveInt": [5, STEPS], "PrimitiveFloat": [2]}
    for kind, there in shared.items():
        assert [node["value"] for node in of(prompt, kind)] == there
    assert ran(server, prompt) == 2


def test_inpaint(desk: Desk, server: Server) -> None:
    taken(desk, "Inpaint")
    values = {"strength": 0.5, "recurrences": 1, "seed": 5, "steps": STEPS, "cfg": 2}
    desk.run(SET, values)
    prompt = queued(desk)
    (energy,), (sampler,) = of(prompt, "EGEnergyMeasurement"), of(prompt, "EGGuidedKSampler")
    assert {name: sampler[name] for name in values} == values
    assert {"missing", "reference"} <= set(energy)
    assert ran(server, prompt) == 2


STARTS = {
    "Guide with Text": ("EGGuideWithText", {"sentence": "red"}, {"text": "red"}),
    "Guide with Image": ("EGGuideWithImage", {"copy": "palette"}, {"copy": "palette"}),
    "Place Words in Boxes": (
        "EGPlaceWords",
        {"prompt": "a red circle", "boxes": "circle: 0.1 0.2 0.5 0.6"},
        {"text": "a red circle", "boxes": "circle: 0.1 0.2 0.5 0.6"},
    ),
    "Keep from Image": ("EGKeepFromImage", {"keep": "look"}, {"keep": "look"}),
    "Fix Missing Objects": (
        "EGFixMissingObjects",
        {"prompt": "a red circle", "objects": "red circle"},
        {"text": "a red circle", "objects": "red circle"},
    ),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_start_with_its_sampler(desk: Desk, server: Server, name: str) -> None:
    kind, own, expected = STARTS[name]
    taken(desk, name)
    sampling = {"seed": 5, "steps": STEPS, "cfg": 2, "sampler_name": "heun", "scheduler": "simple"}
    desk.run(SET, {"negative": "blue", "strength": "weak", **sampling, **own})
    prompt = queued(desk)
    (start,), (sampler,) = of(prompt, kind), of(prompt, "KSampler")
    assert {key: start[key] for key in expected} == expected
    assert start["strength"] == "weak"
    assert {key: sampler[key] for key in sampling} == sampling
    texts = {one["text"] for one in of(prompt, "CLIPTextEncode")}
    assert "blue" in texts
    assert ran(server, prompt) == 1
