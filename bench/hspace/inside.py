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
    FIRST,
    FOUND,
    METHODS,
    NEAR,
    STEPS,
    TOGETHER,
    Edit,
    Method,
    caption,
    jobs,
    unedited,
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
    sides = ("\n".join(method.edit.source), "\n".join(method.edit.wanted))
    latent = {"samples": torch.zeros(TOGETHER, 4, 16, 16)}
    sampling = (FOUND, method.runs, STEPS, method.edit.cfg, "euler", "normal")
    file = name.replace(", ", "_").replace(" ", "_")
    since = method.start if method.train_start is None else method.train_start
    until = method.end if method.train_end is None else method.train_end
    training = (None, vae, method.rate, 1.0, since, until, file)
    widgets = (model, clip, method.way, *sides, latent, *sampling, 1, "each its own", encoded(""))
    return node.execute(*widgets, *training).args[0]


def images(name: str, seed: int) -> Tensor:
    """Images (B, 3, H, W), in [0, 1], of a batch of noise, which has a prompt of its own."""
    method, (model, _, vae) = METHODS[name], loaded()
    if method.way:
        node, found = part("nodes.editing.hspace_edit").HSpaceEdit, direction(name)
        widgets = (method.strength, method.end, 1.0, method.start)
        model = node.execute(model, found, *widgets).args[0]
    samplers, edit = part("nodes.host.samplers"), method.edit
    prompts = (encoded(caption(edit, seed)), encoded(""))
    plan = samplers.plan_of(model, *prompts, STEPS, edit.cfg, "euler", "normal")
    latent = {"samples": torch.zeros(BATCH, 4, 16, 16)}
    done = samplers.sample(plan, "euler", FIRST + seed, latent)["samples"]
    return vae.decode(done).movedim(-1, 1).float()


@cache
def before(name: str, seed: int) -> list[Verdict]:
    """What the oracle sees without an edit."""
    return oracle.judge(images(name, seed))


@torch.inference_mode()
def measured(job: Row) -> Mapping[str, Any]:
    """Figures of each image of a batch that shows its caption, and not the target, unedited."""
    name, seed = job["method"], job["seed"]
    method: Method = METHODS[name]
    there = before(unedited(method), seed)
    after = oracle.judge(images(name, seed)) if method.way else there
    pairs, edit = zip(there, after, strict=True), method.edit
    counted = [pair for pair in pairs if counts(edit, caption(edit, seed), pair[0])]
    return {"rows": [figures(edit, *pair) for pair in counted]}


def counts(edit: Edit, text: str, verdict: Verdict) -> bool:
    """Whether an unedited image shows its caption, and something to edit."""
    return verdict.matches(text) and getattr(verdict.items[0], edit.word) != edit.target


def figures(edit: Edit, was: Verdict, now: Verdict) -> dict[str, float]:
    """What became of the object of one image."""
    (first,) = was.items
    item = now.items[0] if now.clean and len(now.items) == 1 else None
    word = lambda one: getattr(one, edit.word)
    same = item is not None and all(getattr(item, k) == getattr(first, k) for k in edit.kept)
    changed = item is not None and word(item) != word(first)
    kept = same and distance(item, *place(first)) < NEAR
    asked = item is not None and word(item) == edit.target
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
