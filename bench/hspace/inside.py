"""Images edited inside ComfyUI: `python -m bench.hspace` runs it.

Importing this starts ComfyUI's core, without a server, in this process.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench import command, records
from bench.cost import comfyui
from bench.editing.sources import distance, place
from bench.hspace.edits import (
    BATCH,
    CFG,
    FIRST,
    FOUND,
    KINDS,
    METHODS,
    NEAR,
    SOURCE,
    STEPS,
    TARGET,
    jobs,
    prompts,
)
from bench.records import MODEL, Row, fingerprint
from guidance_core.shapes import oracle
from guidance_core.shapes.oracle import Verdict
from tools.hosts import CHECKOUT

KEPT = CHECKOUT / "out" / "hspace"


def part(name: str) -> Any:
    """A module of the pack, as ComfyUI has it."""
    return import_module(f"{comfyui.PACK}.{name}")


@cache
def loaded() -> tuple[Any, Any, Any]:
    """Shapes as MODEL, CLIP and VAE."""
    found: tuple[Any, Any, Any] = part("nodes.host.shapes").load()
    return found


def encoded(text: str) -> Any:
    """CONDITIONING of a prompt."""
    clip = loaded()[1]
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


@cache
def direction(name: str) -> Any:
    """The direction of a method, by the node; a trained one is kept and read again."""
    method, (model, clip, vae) = METHODS[name], loaded()
    folders = import_module("folder_paths")
    folders.models_dir = str(KEPT)
    folders.get_output_directory = lambda: str(KEPT)
    node = part("nodes.editing.hspace_direction").HSpaceDirection
    sides = ("\n".join(prompts(SOURCE)), "\n".join(prompts(TARGET)))
    latent = {"samples": torch.zeros(len(KINDS), 4, 16, 16)}
    sampling = (FOUND, method.runs, STEPS, CFG, "euler", "normal")
    training = (None, vae, method.rate, 1.0, method.start, method.end, name.replace(" ", "_"))
    widgets = (model, clip, method.way, *sides, latent, *sampling, 1, "each its own", encoded(""))
    return node.execute(*widgets, *training).args[0]


def images(name: str, seed: int) -> Tensor:
    """Images (B, 3, H, W), in [0, 1], of a batch of noise; a shape and size for each batch."""
    method, (model, _, vae) = METHODS[name], loaded()
    if method.way:
        node, found = part("nodes.editing.hspace_edit").HSpaceEdit, direction(name)
        widgets = (method.strength, method.end, 1.0, method.start)
        model = node.execute(model, found, *widgets).args[0]
    samplers, caption = part("nodes.host.samplers"), prompts(SOURCE)[seed // BATCH % len(KINDS)]
    plan = samplers.plan_of(model, encoded(caption), encoded(""), STEPS, CFG, "euler", "normal")
    latent = {"samples": torch.zeros(BATCH, 4, 16, 16)}
    done = samplers.sample(plan, "euler", FIRST + seed, latent)["samples"]
    return vae.decode(done).movedim(-1, 1).float()


@cache
def unedited(seed: int) -> list[Verdict]:
    """What the oracle sees without an edit."""
    return oracle.judge(images("unedited", seed))


@torch.inference_mode()
def measured(job: Row) -> Mapping[str, Any]:
    """Figures of each image of a batch that shows its caption without the edit."""
    name, seed = job["method"], job["seed"]
    caption = prompts(SOURCE)[seed // BATCH % len(KINDS)]
    before = unedited(seed)
    after = before if name == "unedited" else oracle.judge(images(name, seed))
    pairs = zip(before, after, strict=True)
    return {"rows": [figures(*pair) for pair in pairs if pair[0].matches(caption)]}


def figures(before: Verdict, after: Verdict) -> dict[str, float]:
    """What became of the object of one image."""
    (was,) = before.items
    item = after.items[0] if after.clean and len(after.items) == 1 else None
    changed = item is not None and item.colour != was.colour
    kept = item is not None and item.shape == was.shape and distance(item, *place(was)) < NEAR
    asked = item is not None and item.colour == TARGET
    found = {"changed": changed, "asked": asked, "kept": kept, "whole": asked and kept}
    return {name: float(flag) for name, flag in found.items()}


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(prog="bench.hspace.inside")
    parser.add_argument("--seeds", type=command.positive, default=128)
    parser.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--results", type=Path, default=command.RESULTS / "hspace.json")
    options = parser.parse_args()
    rows = records.read(options.results)
    wanted = jobs(fingerprint(*MODEL), options.seeds, options.method)
    records.complete(options.results, rows, wanted, measured)


if __name__ == "__main__":
    command.run(main, "python -m bench.hspace.inside")
