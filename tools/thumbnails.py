"""Draw the thumbnails of the examples with Shapes by running their API forms on a ComfyUI.

    python -m tools.thumbnails http://127.0.0.1:8188              # all of them
    python -m tools.thumbnails http://127.0.0.1:8188 inpainting   # only these

The ComfyUI must have this pack. Each thumbnail is what the example's Save Image node saves, its
images side by side. Help pages in web/docs/ that show one get a copy: they are served from there.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[1] / "example_workflows"
PAGES = EXAMPLES.parent / "web" / "docs"
COLUMNS, SIDE, QUALITY = 2, 256, 88


def request(url: str, body: Any = None) -> bytes:
    """The answer to GET, or to POST of a JSON body."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        return answer.read()


def saved_images(address: str, prompt: dict[str, Any]) -> list[Image.Image]:
    """Run a prompt and fetch what it saved."""
    prompt_id = json.loads(request(f"{address}/prompt", {"prompt": prompt}))["prompt_id"]
    history: dict[str, Any] = {}
    while prompt_id not in history:
        time.sleep(1.0)
        history = json.loads(request(f"{address}/history/{prompt_id}"))
    (saver,) = [key for key, node in prompt.items() if node["class_type"] == "SaveImage"]
    outputs = history[prompt_id]["outputs"]
    if saver not in outputs:
        raise SystemExit(f"the workflow failed: {history[prompt_id]['status']['messages'][-1]}")
    files = [request(f"{address}/view?{urlencode(image)}") for image in outputs[saver]["images"]]
    return [Image.open(io.BytesIO(file)).convert("RGB") for file in files]


def sheet(images: list[Image.Image]) -> Image.Image:
    """Images in rows of two."""
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    page = Image.new("RGB", (columns * SIDE, rows * SIDE))
    for k, image in enumerate(images):
        place = (k % columns * SIDE, k // columns * SIDE)
        page.paste(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS), place)
    return page


def main(address: str, *names: str) -> None:
    """Write one thumbnail per example, or only those of some names."""
    files = [EXAMPLES / "api" / f"{name}.json" for name in names]
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES.glob("*.md"))
    for file in files or sorted((EXAMPLES / "api").glob("*.json")):
        text = file.read_text(encoding="utf-8")
        if "EGLoadShapes" not in text:
            continue  # for a real checkpoint: tools.templates draws its card
        prompt = json.loads(text)
        target = EXAMPLES / f"{file.stem}.jpg"
        sheet(saved_images(address, prompt)).save(target, quality=QUALITY)
        if f"({target.name})" in shown:
            shutil.copyfile(target, PAGES / target.name)
        print(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
