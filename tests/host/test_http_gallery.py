"""The gallery on a real server: names, files and thumbnails of the templates with Shapes."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from energy_guidance.tests.host.server import CHECKOUT, PACK, Server
from kornia.metrics import ssim
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d

from guidance_core.shapes import oracle, scenes
from tools import thumbnails
from tools.templates import __main__ as templates
from tools.templates.definitions import inputs
from tools.templates.gallery import EXAMPLES

FOLDER = CHECKOUT / "example_workflows"
NAMES = templates.names()
LEAST = 0.98
ARRIVED = 0.05  # of the image's side
# The longest runs, 19 to 63 seconds each: drawn again before a release.
SLOW = ("null-text", "cascade", "compose-images", "along-a-path", "morph", "uncrop")
REDRAW = (
    "draw it anew, and look at it: python main.py --cpu in ComfyUI, with OMP_NUM_THREADS=1, then "
    "python -m tools.thumbnails http://127.0.0.1:8188 {}"
)


@pytest.fixture(scope="module")
def info(server: Server) -> dict[str, Any]:
    """/object_info."""
    return server.get("/object_info").json()


def test_every_template_is_served_under_its_name(server: Server) -> None:
    assert sorted(server.get("/workflow_templates").json()[PACK]) == sorted(NAMES.values())
    for name in NAMES.values():
        for ending in ("json", "jpg"):
            file = FOLDER / f"{name}.{ending}"
            answer = server.get(f"/api/workflow_templates/{PACK}/{name}.{ending}")
            assert answer.content == file.read_bytes()


@pytest.mark.parametrize("key", EXAMPLES)
def test_the_files_are_what_the_tool_writes(info: dict[str, Any], key: str) -> None:
    page, api = templates.forms(key, info)
    stored = lambda file: json.loads(file.read_text(encoding="utf-8"))
    untitled = lambda prompt: {k: {**node, "_meta": None} for k, node in prompt.items()}
    assert untitled(stored(FOLDER / "api" / f"{key}.json")) == untitled(api)
    if "Flux2Scheduler" in info:  # older ones list fewer inputs, and other names of nodes
        assert stored(FOLDER / f"{NAMES[key]}.json") == page


def test_no_template_uses_a_node_that_is_deprecated_or_experimental(info: dict[str, Any]) -> None:
    for key in NAMES:
        for node in thumbnails.stored(key).values():
            about = info.get(node["class_type"])  # a family may be younger than this ComfyUI
            assert not (about and about.get("deprecated")), (key, node["class_type"])
            assert not (about and "[DEPR" in str(about["display_name"])), (key, node["class_type"])


# What a note calls by name besides nodes, their inputs and choices: buttons, menus, folders.
ELSEWHERE = re.compile(r"Run|Node info|Open in MaskEditor|bell|late|rule|models/\w+")


@pytest.mark.once
@pytest.mark.parametrize("key", NAMES)
def test_a_note_names_nodes_and_widgets_that_there_are(info: dict[str, Any], key: str) -> None:
    prompt = thumbnails.stored(key)
    nodes = {about["display_name"] for about in info.values()}
    known = nodes | {name.partition(" · ")[2] for name in NAMES.values()}
    for node in prompt.values():
        known |= {node["_meta"]["title"], *map(str, node["inputs"].values())}
        for one in inputs(info, node["class_type"]):
            known |= {one.name, *map(str, one.options.get("options", ()))}
    page = json.loads((FOLDER / f"{NAMES[key]}.json").read_text(encoding="utf-8"))
    (note,) = (one for one in page["nodes"] if one["type"] == "MarkdownNote")
    (text,) = note["widgets_values"]
    named = re.findall(r"`([^`]+)`|(?<!\*)\*([^*\n]+)\*(?!\*)", text)
    strange = {"".join(one) for one in named} - known
    assert not {name for name in strange if not ELSEWHERE.fullmatch(name)}


@pytest.mark.once
@pytest.mark.parametrize(
    "key", [pytest.param(key, marks=pytest.mark.slow if key in SLOW else ()) for key in EXAMPLES]
)
def test_a_thumbnail_is_what_the_template_gives(server: Server, key: str) -> None:
    """The task succeeds; on a machine that rounds otherwise the image may still be another.

    What stands beside it, the stock sampler's image of the same seed, is not made again.
    """
    drawn = Image.open(thumbnails.file_of(key))
    if "comment" not in drawn.info:
        pytest.skip("not drawn by tools.thumbnails since the template changed")
    prompt = thumbnails.stored(key)
    found = thumbnails.given(prompt, outputs(server, prompt))
    shows = EXAMPLES[key].shows
    for verdict in oracle.judge(at_side(pixels(found.after))):
        assert not shows or succeeds(verdict, shows), f"does not show {shows}: {verdict}"
        for target in targets(prompt):
            assert distance(verdict, target) < ARRIVED
    machine = thumbnails.machine(server.get("/system_stats").json())
    sheet = thumbnails.sheet(found._replace(before=found.before or found.after))
    fresh = thumbnails.opened(thumbnails.written(sheet, machine))
    places = thumbnails.boxes(min(2, len(found.after)))
    places = places if found.before else places[1::2]
    likeness = min(likenesses(fresh, drawn.convert("RGB"), places))
    if likeness < LEAST and drawn.info["comment"].decode() != machine:
        pytest.skip(f"SSIM {likeness:.3f}, but drawn on {drawn.info['comment'].decode()}")
    assert likeness >= LEAST, f"SSIM {likeness:.3f}: {REDRAW.format(key)}"


def targets(prompt: dict[str, Any]) -> list[tuple[float, float]]:
    """The points that objects are moved to, as fractions of the image."""
    moving = [node for node in prompt.values() if node["class_type"] == "EGEnergyPosition"]
    inputs = [node["inputs"] for node in moving if "reference" not in node["inputs"]]
    inputs = [values for values in inputs if not values.get("keyframes")]  # of a video
    return [(values["x"], values["y"]) for values in inputs]


def distance(verdict: oracle.Verdict, target: tuple[float, float]) -> float:
    """How far the nearest object is, as a fraction of the image's side."""
    places = [(item.x / scenes.SIDE, item.y / scenes.SIDE) for item in verdict.items]
    return min(math.dist(place, target) for place in places)


def likenesses(
    fresh: Image.Image, drawn: Image.Image, places: list[tuple[int, int]]
) -> list[float]:
    """SSIM of images on two thumbnails, without their ground and words, by left and top."""
    found = []
    for left, top in places:
        box = (left, top, left + thumbnails.PANEL, top + thumbnails.PANEL)
        crops = (pixels([page.crop(box)]) for page in (fresh, drawn))
        found.append(float(ssim(*crops, 11).mean()))
    return found


def outputs(server: Server, prompt: dict[str, Any]) -> thumbnails.Outputs:
    """The images that each node put out."""
    outcome = server.run(prompt)
    drawing = [key for key, one in outcome.history["outputs"].items() if "images" in one]
    return {
        key: [thumbnails.opened(server.view(image)) for image in outcome.images(key)]
        for key in drawing
    }


def succeeds(verdict: oracle.Verdict, shows: str) -> bool:
    """Whether an image is a caption's, or has an object of all labels."""
    if shows.count(" and ") == 2:
        # To the oracle an image of more than two objects is not clean, as a model of two knows it.
        return replace(verdict, clean=len(verdict.items) == 3).matches(shows)
    if shows.startswith("a "):
        return verdict.matches(shows)
    wanted = set(shows.split())
    return any(wanted <= {item.shape, item.colour, item.size} for item in verdict.items)


def at_side(images: torch.Tensor) -> torch.Tensor:
    """Larger images at the size that the oracle knows."""
    return adaptive_avg_pool2d(images, scenes.SIDE)


def pixels(images: list[Image.Image]) -> torch.Tensor:
    """Images as (B, 3, H, W), in [0, 1]."""
    stacked = np.stack([np.asarray(image) for image in images])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 255
