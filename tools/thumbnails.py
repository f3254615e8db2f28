"""Draw the thumbnails of the templates with Shapes by running their API forms on a ComfyUI.

    python -m tools.thumbnails http://127.0.0.1:8188              # all of them
    python -m tools.thumbnails http://127.0.0.1:8188 inpainting   # only these, by their keys

The ComfyUI must have this pack, and run with OMP_NUM_THREADS=1, as in the tests: another number of
threads rounds differently. A thumbnail shows before and after: the same seed without guidance and
with it, or what an edit and a restoration begin with and what they save. Help pages in web/docs/
that show one get a copy: they are served from there.
"""

from __future__ import annotations

import copy
import io
import json
import platform
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from PIL import Image, ImageDraw, ImageFont

from tools.templates.card import GROUND, INK, SIDE
from tools.templates.gallery import EXAMPLES, names

FOLDER = Path(__file__).resolve().parents[1] / "example_workflows"
PAGES = FOLDER.parent / "web" / "docs"
QUALITY = 92
CPUINFO = Path("/proc/cpuinfo")
PANEL, GAP, BAND = 228, 8, 40
INSET = 96
UNGUIDED = ("without", "guided")
EDITED = ("before", "after")
REFERENCES = ("Reference", "The look", "Colours", "First source", "Second source")

Prompt = dict[str, dict[str, Any]]
# The images that each node put out, by its key.
Outputs = dict[str, list[Image.Image]]


class Pair(NamedTuple):
    """What a thumbnail shows: two columns under their words, and images that they match."""

    words: tuple[str, str]
    before: list[Image.Image]
    after: list[Image.Image]
    references: tuple[Image.Image, ...] = ()


def request(url: str, body: Any = None) -> bytes:
    """The answer to GET, or to POST of a JSON body."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        return answer.read()


def run(address: str, prompt: Prompt) -> Outputs:
    """Run a prompt and fetch the images that it put out."""
    prompt_id = json.loads(request(f"{address}/prompt", {"prompt": prompt}))["prompt_id"]
    history: dict[str, Any] = {}
    while prompt_id not in history:
        time.sleep(0.5)
        history = json.loads(request(f"{address}/history/{prompt_id}"))
    status, outputs = history[prompt_id]["status"], history[prompt_id]["outputs"]
    if status["status_str"] != "success":
        raise SystemExit(f"the workflow failed: {status['messages'][-1]}")
    fetch = lambda image: request(f"{address}/view?{urlencode(image)}")
    return {
        key: [opened(fetch(image)) for image in output["images"]]
        for key, output in outputs.items()
        if "images" in output
    }


def opened(file: bytes) -> Image.Image:
    """An image file in RGB."""
    return Image.open(io.BytesIO(file)).convert("RGB")


def saved_images(address: str, prompt: Prompt) -> list[Image.Image]:
    """Run a prompt and fetch what it saved."""
    return run(address, prompt)[only(prompt, "SaveImage")]


def only(prompt: Prompt, kind: str) -> str:
    """The key of the only node of a kind."""
    (key,) = [key for key, node in prompt.items() if node["class_type"] == kind]
    return key


def stored(key: str) -> Prompt:
    """The API form of a template, without the plot, which is no part of its images."""
    text = (FOLDER / "api" / f"{key}.json").read_text(encoding="utf-8")
    whole: Prompt = json.loads(text)
    return {key: node for key, node in whole.items() if node["class_type"] != "EGPlotTrace"}


def unguided(prompt: Prompt) -> Prompt:
    """The same prompt with every strength 0 and the seed's own noise: the stock sampler exactly."""
    prompt = copy.deepcopy(prompt)
    for node in prompt.values():
        values = node["inputs"]
        if "amount" in values:
            values |= {"strength": "custom", "amount": 0.0}
        elif "strength" in values:
            values["strength"] = 0.0
        if node["class_type"] == "EGInitialNoise":
            values |= {"rounds": 1, "iterations": 0}
    return prompt


def pair(prompt: Prompt, run: Callable[[Prompt], Outputs]) -> Pair:
    """What a template gives: the preview "Before", or the same seeds unguided; what it saves."""
    found = given(prompt, run(prompt))
    if found.before:
        return found
    return found._replace(before=run(unguided(prompt))[only(prompt, "SaveImage")])


def given(prompt: Prompt, outputs: Outputs) -> Pair:
    """What a run of a template put out: what it saves, and its preview "Before", if it has one.

    Other previews are what the images are to match.
    """
    titled = {prompt[key]["_meta"]["title"]: images for key, images in outputs.items()}
    before, after = titled.get("Before", []), outputs[only(prompt, "SaveImage")]
    references = tuple(titled[title][0] for title in REFERENCES if title in titled)
    words = EDITED if before else UNGUIDED
    return Pair(words, [_seen(prompt, image) for image in before], after, references)


def _seen(prompt: Prompt, image: Image.Image) -> Image.Image:
    """What a restoration sees of an image: its brightness, where it gives back the colours."""
    grey = any(node["inputs"].get("grey") for node in prompt.values())
    return image.convert("L").convert("RGB") if grey else image


def boxes(rows: int) -> list[tuple[int, int]]:
    """Left and top of the images of a thumbnail, row by row, before and then after."""
    left = (SIDE - 2 * PANEL - GAP) // 2
    top = BAND if rows == 2 else (SIDE - PANEL + BAND) // 2
    return [
        (left + k * (PANEL + GAP), top + j * (PANEL + GAP)) for j in range(rows) for k in (0, 1)
    ]


def sheet(found: Pair) -> Image.Image:
    """A thumbnail, square as the gallery's cards."""
    page = Image.new("RGB", (SIDE, SIDE), GROUND)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(24)
    rows = min(2, len(found.after))
    pairs = list(zip(found.before, found.after, strict=True))
    # Of a video its first and its last frame.
    both = [image for row in (pairs[:1] + pairs[-1:])[-rows:] for image in row]
    places = boxes(rows)
    for image, place in zip(both, places, strict=False):
        page.paste(image.resize((PANEL, PANEL), Image.Resampling.LANCZOS), place)
    for word, (left, top) in zip(found.words, places, strict=False):
        pen.text((left + PANEL / 2, top - 8), word, INK, font, anchor="ms")
    for place, reference in enumerate(found.references):
        _inset(page, reference, place, len(found.references))
    return page


def _inset(page: Image.Image, reference: Image.Image, place: int, count: int) -> None:
    """What the images are to match, framed, below the middle, side by side."""
    wide = count * INSET + (count - 1) * 2 * GAP
    corner = ((SIDE - wide) // 2 + place * (INSET + 2 * GAP), SIDE - INSET - 12)
    frame = (corner[0] - 4, corner[1] - 4, corner[0] + INSET + 3, corner[1] + INSET + 3)
    ImageDraw.Draw(page).rectangle(frame, INK)
    page.paste(reference.resize((INSET, INSET), Image.Resampling.LANCZOS), corner)


def file_of(key: str) -> Path:
    """Where the thumbnail of a template lies."""
    return FOLDER / f"{names()[key]}.jpg"


def written(page: Image.Image, machine: str) -> bytes:
    """A thumbnail as a file, which says where it was drawn."""
    file = io.BytesIO()
    page.save(file, "JPEG", quality=QUALITY, comment=machine)
    return file.getvalue()


def machine(stats: dict[str, Any]) -> str:
    """What decides how numbers are rounded: processor and PyTorch of a ComfyUI on this machine.

    Arguments:
        stats: its answer to /system_stats.
    """
    lines = CPUINFO.read_text("utf-8").splitlines() if CPUINFO.exists() else []
    named = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    return f"{named or platform.processor()}, torch {stats['system']['pytorch_version']}"


def main(address: str, *keys: str) -> None:
    """Write the thumbnail of every template with Shapes, or of those with some keys."""
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES.glob("*.md"))
    for key in keys or EXAMPLES:
        target = file_of(key)
        page = sheet(pair(stored(key), lambda prompt: run(address, prompt)))
        target.write_bytes(written(page, machine(json.loads(request(f"{address}/system_stats")))))
        if f"({key}.jpg)" in shown:
            shutil.copyfile(target, PAGES / f"{key}.jpg")
        print(target.name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
