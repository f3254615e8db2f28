"""Words swapped inside ComfyUI, where attention is injected: `python -m bench.editing` runs it.

    python -m bench.editing.inside --seeds 64 --method Prompt-to-Prompt

Importing this starts ComfyUI's core, without a server, in this process.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench import command, records
from bench.cost import comfyui
from bench.editing.sources import caption, distance, found, object_words, place
from bench.editing.swaps import AROUND, BATCH, CFG, FIRST, GIVEN, METHODS, STEPS, SWAPS, jobs
from bench.editing.task import FULL
from bench.records import MODEL, Row, fingerprint
from guidance_core.shapes import oracle, scenes
from guidance_core.shapes.oracle import Verdict
from guidance_core.shapes.scenes import Item

# Widgets of Flow Edit after its seed: steps, n_max, cfg, source_cfg, scheduler. A shape needs more.
FLOW_EDIT = {
    "circle to square": (20, 16, 5.5, 1.5, "simple"),
    "red to blue": (20, 14, 5.5, 1.5, "simple"),
}


def part(name: str) -> Any:
    """A module of the pack, as ComfyUI has it."""
    return import_module(f"{comfyui.PACK}.{name}")


@cache
def loaded() -> tuple[Any, Any, Any]:
    """Shapes as MODEL, CLIP and VAE."""
    with torch.inference_mode():
        found: tuple[Any, Any, Any] = part("nodes.host.shapes").load()
        return found


def encoded(text: str) -> Any:
    """CONDITIONING of a prompt."""
    clip = loaded()[1]
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def prompts(swap: str, seed: int) -> tuple[str, str]:
    """The source's caption of two objects, and the edited one: a word of the first is swapped."""
    kind, old, new = SWAPS[swap]
    for number in count(FIRST + seed, 1000):
        text = caption(number, 2, FULL)
        words = text.split()
        where = FULL.index(kind) + 1
        if words[where] == old and new not in words:
            words[where] = new
            return text, " ".join(words)
    raise AssertionError("unreachable")


def decoded(samples: Tensor) -> Tensor:
    """Images (B, 3, H, W), in [0, 1]."""
    return loaded()[2].decode(samples).movedim(-1, 1).float()


def sampled(model: Any, positive: Any, seed: int) -> Tensor:
    """Latents of one prompt and a batch of noise."""
    samplers = part("nodes.host.samplers")
    plan = samplers.plan_of(model, positive, encoded(""), STEPS, CFG, "euler", "normal")
    latent = {"samples": torch.zeros(BATCH, 4, 16, 16)}
    done: Tensor = samplers.sample(plan, "euler", FIRST + seed, latent)["samples"]
    return done


@cache
def flow() -> Any:
    """Shapes as a flow model."""
    with torch.inference_mode():
        return part("nodes.host.shapes").load_model(sampling="flow")


@cache
def plain(swap: str, seed: int) -> tuple[Tensor, Tensor]:
    """Images of the source, and their latents, without a record."""
    samples = sampled(loaded()[0], encoded(prompts(swap, seed)[0]), seed)
    return decoded(samples), samples


def flow_edited(swap: str, seed: int, *, direct: bool) -> Tensor:
    """Images of the edit by Flow Edit, with fresh noise or along the inverted path."""
    before, after = map(encoded, prompts(swap, seed))
    samples, widgets = plain(swap, seed)[1], (FIRST + seed, *FLOW_EDIT[swap])
    path = inverted(before, samples, FLOW_EDIT[swap]) if direct else None
    node = part("nodes.editing.flow_edit").FlowEdit
    options = {"negative": encoded(""), "path": path}
    done = node.execute(flow(), before, after, {"samples": samples}, *widgets, **options).args[0]
    return decoded(done["samples"])


def inverted(prompt: Any, samples: Tensor, widgets: tuple[Any, ...]) -> Any:
    """The path of images in the flow model, at the noise levels of Flow Edit's widgets."""
    steps, scheduler = widgets[0], widgets[-1]
    plan = part("nodes.host.samplers").plan_of(
        *(flow(), prompt, None, steps, 1.0, "euler", scheduler)
    )
    return part("nodes.host.invert").inverted(plan, samples)


@cache
def source(swap: str, seed: int) -> tuple[Tensor, Any, Any]:
    """Images of the source, and its reference and path."""
    model = loaded()[0]
    node = part("nodes.editing.record_reference").RecordReference
    widgets = (FIRST + seed, STEPS, CFG, "normal", 1.0, "euler", True, True, "default")
    latent = {"samples": torch.zeros(BATCH, 4, 16, 16)}
    found = node.execute(model, encoded(prompts(swap, seed)[0]), *widgets, encoded(""), latent).args
    return decoded(found[1]["samples"]), found[0], found[2]


def edited(method: str, swap: str, seed: int) -> Tensor:
    """Images of the edit by a method."""
    model, clip, _ = loaded()
    before, after = prompts(swap, seed)
    _, reference, path = source(swap, seed)
    positive = encoded(after)
    if method == "Prompt-to-Prompt":
        host = part("nodes.host.prompt_to_prompt")
        colours = {before.split()[2], after.split()[2]}
        words = "\n".join(sorted(colours))
        edit = host.Edit(before, after, words=words)
        model, positive = host.edited(model, clip, edit, path)
    elif method == "Plug-and-Play":
        host = part("nodes.host.plug_and_play")
        model = host.plugged(model, encoded(before), path, 0.8, 0.5, "default")
    elif method != "the prompt alone":
        model = part("nodes.host.guide").apply(model, [kept(method, reference)])
    return decoded(sampled(model, positive, seed))


def kept(method: str, reference: Any) -> Any:
    """The rule of an energy that keeps what the source shows inside."""
    energies = {"Keep Attention": ("attention_keep", "AttentionKeep", 0.1)}
    energies["Keep Features"] = ("feature_keep", "FeatureKeep", 0.5)
    file, name, strength = energies[method]
    energy = getattr(part(f"guidance_core.energies.{file}"), name)(reference)
    window = part("guidance_core.schedules").PercentWindow(0.0, 0.5, value=strength)
    return part("guidance_core.rules.forward").Forward(energy, window)


def measured(job: Row) -> Mapping[str, Any]:
    """Figures of each image of a batch whose source shows its caption."""
    swap = job["swap"]
    kind, _, new = SWAPS[swap]
    with torch.inference_mode():
        if job["method"] in GIVEN:
            direct = job["method"] != "Flow Edit"
            images = [plain(swap, job["seed"])[0], flow_edited(swap, job["seed"], direct=direct)]
        else:
            images = [source(swap, job["seed"])[0], edited(job["method"], swap, job["seed"])]
    text = prompts(swap, job["seed"])[0]
    rows = []
    for before, after, *pair in zip(*map(oracle.judge, images), *images, strict=True):
        if before.matches(text):
            rows.append(figures(text, before, after, (kind, new), pair))
    return {"rows": rows}


def figures(
    text: str, before: Verdict, after: Verdict, wanted: tuple[str, str], pair: Sequence[Tensor]
) -> dict[str, float]:
    """What the oracle says of one image."""
    kind, new = wanted
    names = object_words(text, 0), object_words(text, 1)
    was, rest = (found(before, own) for own in names)
    asked = [new if word == getattr(was, kind) else word for word in names[0]]
    item, other = found(after, asked), found(after, names[1])
    # The object there, whatever it shows.
    there = min(after.items, key=lambda one: distance(one, *place(was)), default=None)
    return {
        "shown": float(there is not None and getattr(there, kind) == new),
        "kept": float(item is not None and item.size == was.size),
        "moved": distance(there, *place(was)),
        "rest": float(other is not None and other.size == rest.size),
        "drift": distance(other, *place(rest)),
        "psnr": outside(pair, [was, *([] if there is None else [there])]),
    }


def outside(pair: Sequence[Tensor], items: Sequence[Item]) -> float:
    """PSNR in dB of two images away from all objects of both."""
    covered = torch.stack([scenes.inside(item) for item in items]).any(0).float()
    size = 2 * AROUND + 1
    wide = torch.nn.functional.max_pool2d(covered[None], size, 1, AROUND)[0] > 0
    error = (pair[0] - pair[1])[:, ~wide].square().mean().clamp_min(1e-12)
    return float(-10 * error.log10())


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(prog="bench.editing.inside")
    parser.add_argument("--seeds", type=command.positive, default=32)
    parser.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--results", type=Path, default=command.RESULTS / "editing.json")
    options = parser.parse_args()
    rows = records.read(options.results)
    wanted = jobs(fingerprint(*MODEL), options.seeds, options.method)
    records.complete(options.results, rows, wanted, measured)


if __name__ == "__main__":
    command.run(main, "python -m bench.editing.inside")
