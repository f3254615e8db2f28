"""Fit a fast decoder on a running ComfyUI: *Fit Fast Decoder* from the command line.

    python -m tools.fit_decoder http://127.0.0.1:8188 sd_xl_base_1.0.safetensors --side 1024
    python -m tools.fit_decoder http://127.0.0.1:8188 --workflow fit.json

The ComfyUI must have this pack. The first form samples a checkpoint of models/checkpoints ("shapes"
is the embedded model) with an empty prompt; the second runs a workflow of your own in API form that
has the node, for models whose parts are loaded one by one, or to learn from your own images. The
file lies in the server's models/vae_approx then. After a stop, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.thumbnails import Prompt, request, run

NODE = "EGFitFastDecoder"
SHAPES = "shapes"


def graph(address: str, options: argparse.Namespace) -> Prompt:
    """Checkpoint, empty prompt, empty latent and the node, in API form."""
    shapes = options.checkpoint == SHAPES
    loader = "EGLoadShapes" if shapes else "CheckpointLoaderSimple"
    load: dict[str, Any] = {} if shapes else {"ckpt_name": options.checkpoint}
    side = {"width": options.side, "height": options.side}
    own = ("runs", "steps", "cfg", "fitting_steps", "size", "name", "seed")
    widgets = {name: getattr(options, name) for name in own if getattr(options, name) is not None}
    links = {"model": ["1", 0], "vae": ["1", 2], "positive": ["2", 0], "negative": ["2", 0]}
    return {
        "1": {"class_type": loader, "inputs": load},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
        "3": {"class_type": "EmptyLatentImage", "inputs": {**side, "batch_size": options.batch}},
        "4": {
            "class_type": NODE,
            "inputs": {**defaults(address), **widgets, **links, "latent_image": ["3", 0]},
        },
    }


def defaults(address: str) -> dict[str, Any]:
    """What the node's widgets say of themselves."""
    needed = json.loads(request(f"{address}/object_info/{NODE}"))[NODE]["input"]["required"]
    facts = {name: fact[1] for name, fact in needed.items() if len(fact) > 1}
    return {name: fact["default"] for name, fact in facts.items() if "default" in fact}


def refusal(body: bytes) -> str:
    """What a server's refusal of a prompt says."""
    nodes = json.loads(body)["node_errors"].values()
    faults = [fault for node in nodes for fault in node["errors"]]
    return "; ".join(f"{fault['message']}: {fault['details']}" for fault in faults)


def main(arguments: Sequence[str] | None = None) -> None:
    """Queue, wait, and say where the file is."""
    options = _options(arguments)
    address = options.address.rstrip("/")
    if options.workflow:
        prompt: Prompt = json.loads(options.workflow.read_text(encoding="utf-8"))
    else:
        prompt = graph(address, options)
    names = [n["inputs"]["name"] for n in prompt.values() if n["class_type"] == NODE]
    if not names:
        raise ValueError(f"{options.workflow} has no node {NODE}, or is not in API form")
    try:
        run(address, prompt)
    except urllib.error.HTTPError as error:
        raise ValueError(refusal(error.read())) from error
    for name in names:
        print(f"fitted: {name} in the server's models/vae_approx; decoder auto finds it")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.fit_decoder", description=__doc__.splitlines()[0])
    parser.add_argument("address", help="of the running ComfyUI")
    parser.add_argument("checkpoint", nargs="?", help='in models/checkpoints, or "shapes"')
    parser.add_argument("--workflow", type=Path, help="API form of your own, with the node")
    parser.add_argument("--side", type=int, default=512, help="pixels of the images sampled")
    parser.add_argument("--batch", type=int, default=1, help="images sampled at once")
    for name in ("runs", "steps", "fitting_steps", "seed"):
        parser.add_argument("--" + name.replace("_", "-"), type=int, help="as the node's widget")
    parser.add_argument("--cfg", type=float, help="as the node's widget")
    parser.add_argument("--size", choices=("full", "half", "quarter"), help="as the node's widget")
    parser.add_argument("--name", help="of the file")
    options = parser.parse_args(arguments)
    if bool(options.checkpoint) == bool(options.workflow):
        parser.error("name a checkpoint, or give a --workflow")
    return options


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"tools.fit_decoder: {error}")
