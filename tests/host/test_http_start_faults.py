"""What a start lacks is told on it when its workflow is queued: nothing runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from energy_guidance.tests.host.server import CHECKOUT, Server

from tests.host.test_http_faults import alone, faults

ASSETS = CHECKOUT / "assets" / "shapes"
PROMPT = "a red (circle:1.2) and a blue square"


def started(nodes: dict, kind: str, **inputs) -> dict:
    """A start behind a checkpoint, and a stock sampler behind it, which lacks the rest."""
    sockets = nodes[kind]["input"]["required"]
    given = {"clip": ["1", 1]} if "clip" in sockets else {"vae": ["1", 2]}
    given |= {"image": ["2", 0]} if "image" in sockets else {}
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "none.safetensors"}},
        "2": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "3": alone(nodes, kind, model=["1", 0], **{**given, **inputs}),
        "4": {"class_type": "KSampler", "inputs": {"model": ["3", 0]}},
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}},
    }


def said(server: Server, prompt: dict) -> str:
    """What is said of the start; empty where nothing is."""
    return faults(server, prompt).get("3", "")


@pytest.fixture
def guides(server: Server) -> Iterator:
    """The folder of guide networks, empty again at the end."""
    folder = server.log.parent / "models" / "guidance"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    for file in folder.iterdir():
        file.unlink()


NEEDS = {
    "text": ("EGGuideWithText", {}, "open_clip", "classifier"),
    "style": ("EGGuideWithImage", {"copy": "style"}, "open_clip", "segmenter"),
    "likeness": ("EGGuideWithImage", {"copy": "likeness"}, "open_clip", "vit"),
    "structure": ("EGGuideWithImage", {"copy": "structure"}, "vit", "open_clip"),
}
LOADERS = {
    "open_clip": "EGLoadOpenCLIP",
    "vit": "EGLoadViT",
    "classifier": "EGLoadClassifier",
    "segmenter": "EGLoadSegmenter",
}


@pytest.mark.parametrize("name", NEEDS)
def test_a_guide_network_that_is_not_there_is_red(
    server: Server,
    nodes: dict,
    guides,
    name: str,
) -> None:
    kind, inputs, fits, other = NEEDS[name]
    prompt = started(nodes, kind, **inputs)
    assert "under models/guidance, found none: put one there" in said(server, prompt)
    (guides / "other.safetensors").symlink_to(ASSETS / f"{other}.safetensors")
    assert "found none" in said(server, prompt)
    prompt["3"]["inputs"]["network"] = ["7", 0]
    prompt["7"] = alone(nodes, LOADERS[other])
    assert "got one from" in said(server, prompt)
    prompt["7"] = alone(nodes, LOADERS[fits])
    assert not said(server, prompt)
    del prompt["7"], prompt["3"]["inputs"]["network"]
    (guides / "fits.safetensors").symlink_to(ASSETS / f"{fits}.safetensors")
    assert not said(server, prompt)


def test_a_palette_and_shapes_need_no_file(server: Server, nodes: dict) -> None:
    assert not said(server, started(nodes, "EGGuideWithImage", copy="palette"))
    prompt = started(nodes, "EGGuideWithText")
    assert said(server, prompt)
    prompt["1"] = alone(nodes, "EGLoadShapes")
    assert not said(server, prompt)
    # A node between, whatever its input is called.
    prompt["7"] = {"class_type": "ModelMergeSimple", "inputs": {"model1": ["1", 0], "ratio": 1.0}}
    prompt["7"]["inputs"]["model2"] = ["1", 0]
    prompt["3"]["inputs"]["model"] = ["7", 0]
    assert not said(server, prompt)


@pytest.mark.parametrize("kind", ["EGGuideWithText", "EGGuideWithImage"])
def test_a_vae_that_nobody_connected_is_red(server: Server, nodes: dict, kind: str) -> None:
    prompt = started(nodes, kind)
    inputs = prompt["3"]["inputs"]
    vae = inputs.pop("vae")
    for decoder in ("auto", "vae"):
        inputs["decoder"] = decoder
        assert "got none: connect the model's VAE" in said(server, prompt)
    inputs["decoder"] = "rgb"
    assert "VAE" not in said(server, prompt)
    inputs |= {"decoder": "vae", "vae": vae}
    assert "VAE" not in said(server, prompt)
    inputs["decoder"] = "tiny"
    assert "decoder must be one of auto, vae" in said(server, prompt)
    # The decoder that Shapes brings stands in for the VAE, unless that is chosen.
    prompt["1"] = alone(nodes, "EGLoadShapes")
    del inputs["vae"], inputs["decoder"]
    assert not said(server, prompt)


def test_keep_from_image_needs_its_vae_and_image(server: Server, nodes: dict) -> None:
    for name in ("vae", "image"):
        prompt = started(nodes, "EGKeepFromImage")
        assert not said(server, prompt)
        del prompt["3"]["inputs"][name]
        assert said(server, prompt) == f"Required input is missing {name}"


def test_words_that_are_not_in_the_prompt_are_red(server: Server, nodes: dict) -> None:
    def place(boxes: str) -> str:
        return said(server, started(nodes, "EGPlaceWords", text=PROMPT, boxes=boxes))

    for phrase in ("red circle", "Circle", "blue square", "SQUARE#1", "circle, square"):
        assert not place(f"{phrase}: 0 0 0.5 0.5")
    told = place("red circle: 0 0 0.5 0.5\ngreen square: 0 0 0.5 0.5")
    assert "got 'green square', which is not in it: choose among a, red, circle, and, blue" in told
    assert "at least one" in place(" ")
    assert "boxes must be lines" in place("red circle: 0 0 2 1")


def test_objects_are_those_of_the_prompt(server: Server, nodes: dict) -> None:
    def fix(text: object, objects: str = "") -> str:
        prompt = started(nodes, "EGFixMissingObjects", text=text, objects=objects)
        prompt["7"] = {"class_type": "PrimitiveString", "inputs": {"value": "a painting"}}
        return said(server, prompt)

    assert not fix(PROMPT)
    assert not fix(PROMPT, "red circle\n\nblue square")
    assert "names objects, got none" in fix("a painting")
    assert "names objects, got none" in fix(["7", 0])
    assert "got 'green square', which is not in it" in fix(PROMPT, "green square")
