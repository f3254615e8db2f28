"""Draw docs/starts.png: the five one-node starts, each in a stock workflow after a run.

    python -m tools.start_pictures http://127.0.0.1:8188

The ComfyUI must have this pack; a browser of playwright opens its page, builds the workflows around
Shapes, runs them and takes their pictures.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

TARGET = Path(__file__).resolve().parents[1] / "docs" / "starts.png"
SIZE = {"width": 1280, "height": 640}
# A fresh profile shows a tour of templates, which would cover the canvas.
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.Graph.CanvasMenu": False,
}
PATIENCE = 300_000  # milliseconds
REST = 8_000  # until images and panels are drawn, on a slow machine
WIDTH = 1100  # of a row in the picture
PROMPT = "a big red circle and a small white square"
READY = """() => window.app?.vueAppReady && app.canvas?.graph
    && !app.extensionManager.spinner && LiteGraph.registered_node_types.EGKeepFromImage"""
# Clears the canvas and builds the stock workflow around one start.
BUILD = """([kind, values, prompt, source]) => {
    const used = app.graph.last_node_id;
    app.graph.clear();
    // Nodes of the same numbers would show the images of those before them.
    app.graph.last_node_id = used;
    const add = (kind, pos, values = {}) => {
        const node = LiteGraph.createNode(kind);
        node.pos = pos;
        app.graph.add(node);
        for (const widget of node.widgets ?? [])
            if (widget.name in values) {
                widget.value = values[widget.name];
                widget.callback?.(widget.value);
            }
        return node;
    };
    const has = (node, name) => node.inputs.some((input) => input.name === name);
    const link = (from, output, to, input) =>
        from.connect(output, to, to.inputs.findIndex(({ name }) => name === input));
    const loader = add("EGLoadShapes", [0, 0]);
    const start = add(kind, [360, 0], values);
    start.size = [Math.max(start.size[0], 330), start.size[1]];
    const encode = (y, text) => {
        const node = add("CLIPTextEncode", [0, y], { text });
        node.size = [300, 100];
        return node;
    };
    const negative = encode(340, "");
    const latent = add("EmptyLatentImage", [0, 490], { width: 128, height: 128 });
    const fixed = { seed: 3, control_after_generate: "fixed", steps: 12, cfg: 4 };
    const sampler = add("KSampler", [790, 0], fixed);
    const decode = add("VAEDecode", [790, 420]);
    const preview = add("PreviewImage", [1130, 0]);
    preview.size = [300, 330];
    link(loader, 0, start, "model");
    link(loader, 1, negative, "clip");
    if (has(start, "vae")) link(loader, 2, start, "vae");
    if (has(start, "clip")) {
        link(loader, 1, start, "clip");
        link(start, 1, sampler, "positive");
    } else {
        const positive = encode(190, prompt);
        link(loader, 1, positive, "clip");
        link(positive, 0, sampler, "positive");
    }
    if (has(start, "image")) {
        const image = add("LoadImage", [-340, 0], { image: source });
        link(image, 0, start, "image");
    }
    link(start, 0, sampler, "model");
    link(negative, 0, sampler, "negative");
    link(latent, 0, sampler, "latent_image");
    link(sampler, 0, decode, "samples");
    link(loader, 2, decode, "vae");
    link(decode, 0, preview, "images");
}"""
# Queues what is open, and waits for its end.
RUN = """() => new Promise((done, fail) => {
    const { api } = comfyAPI.api;
    api.addEventListener("execution_success", () => done(), { once: true });
    api.addEventListener("execution_error", ({ detail }) =>
        fail(new Error(detail.exception_message)), { once: true });
    app.queuePrompt(0).then(() => {
        const faults = Object.values(app.lastNodeErrors ?? {});
        if (faults.length) fail(new Error(JSON.stringify(faults)));
    });
})"""
FIT = """() => {
    const nodes = app.graph.nodes;
    const left = Math.min(...nodes.map(({ pos }) => pos[0]));
    const right = Math.max(...nodes.map(({ pos, size }) => pos[0] + size[0]));
    const low = Math.max(...nodes.map(({ pos, size }) => pos[1] + size[1]));
    const { width, height } = app.canvas.canvas.getBoundingClientRect();
    const scale = Math.min((width - 80) / (right - left + 80), (height - 110) / (low + 80));
    app.canvas.ds.scale = scale;
    app.canvas.ds.offset = [(width + 60) / scale / 2 - (left + right) / 2, 100 / scale + 40];
    app.canvas.setDirty(true, true);
}"""
BOXES = "red circle: 0.05 0.1 0.5 0.55\nwhite square: 0.55 0.6 0.9 0.95"
OTHER = "a big green triangle"
STARTS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("EGGuideWithText", {"text": "a big red circle"}, ""),
    ("EGGuideWithImage", {"copy": "palette"}, "a big square"),
    ("EGPlaceWords", {"text": PROMPT, "boxes": BOXES}, ""),
    ("EGKeepFromImage", {"keep": "layout"}, OTHER),
    ("EGFixMissingObjects", {"text": PROMPT}, ""),
)


def uploaded(page: Page) -> str:
    """The name of a scene that LoadImage can read: a small blue square above on the left."""
    scene = Image.new("RGB", (128, 128), (40, 44, 52))
    scene.paste((50, 90, 220), (22, 22, 58, 58))
    file = io.BytesIO()
    scene.save(file, "PNG")
    part = {"name": "starts.png", "mimeType": "image/png", "buffer": file.getvalue()}
    answer = page.request.post("/upload/image", multipart={"image": part, "overwrite": "true"})
    return str(answer.json()["name"])


def picture(page: Page, kind: str, values: dict[str, Any], prompt: str, source: str) -> Image.Image:
    """The canvas with one start, after a run."""
    page.evaluate(BUILD, [kind, values, prompt, source])
    page.wait_for_timeout(2000)
    page.evaluate(RUN)
    page.wait_for_timeout(REST)
    page.evaluate(FIT)
    page.wait_for_timeout(REST)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # Without the page's bars above and on the left.
    return shot.crop((60, 90, shot.width, shot.height))


def main(address: str) -> None:
    """Write the picture, its rows one below the other."""
    with sync_playwright() as play:
        found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, base_url=address)
        page.set_default_timeout(PATIENCE)
        page.request.post("/settings", data=SETTINGS)
        source = uploaded(page)
        page.goto(address, timeout=PATIENCE)
        page.wait_for_function(READY, timeout=PATIENCE)
        rows = [picture(page, *start, source) for start in STARTS]
        browser.close()
    height = rows[0].height * WIDTH // rows[0].width
    sheet = Image.new("RGB", (WIDTH, height * len(rows)))
    for k, row in enumerate(rows):
        sheet.paste(row.resize((WIDTH, height), Image.Resampling.LANCZOS), (0, k * height))
    sheet.save(TARGET, optimize=True)
    print(TARGET)


if __name__ == "__main__":
    main(*sys.argv[1:])
