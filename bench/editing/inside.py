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
from bench.editing.swaps import (
    AROUND,
    BATCH,
    FIRST,
    GIVEN,
    METHODS,
    PLUG_ENDS,
    SAMPLING,
    SWAPS,
    UNET,
    WORD_ENDS,
    jobs,
)
from bench.editing.task import FULL
from bench.records import Row
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
def loaded(network: str = UNET) -> tuple[Any, Any, Any]:
    """Shapes as MODEL, CLIP and VAE."""
    with torch.inference_mode():
        found: tuple[Any, Any, Any] = part("nodes.host.shapes").load(network=network)
        return found


def encoded(text: str, network: str = UNET) -> Any:
    """CONDITIONING of a prompt."""
    clip = loaded(network)[1]
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def prompts(swap: str, seed: int, objects: int = 2) -> tuple[str, str]:
    """The source's caption, and the edited one: a word of its first object is swapped."""
    kind, old, new = SWAPS[swap]
    for number in count(FIRST + seed, 1000):
        text = caption(number, objects, FULL)
        words = text.split()
        where = FULL.index(kind) + 1
        if words[where] == old and new not in words:
            words[where] = new
            return text, " ".join(words)
    raise AssertionError("unreachable")


def decoded(samples: Tensor) -> Tensor:
    """Images (B, 3, H, W), in [0, 1]."""
    return loaded()[2].decode(samples).movedim(-1, 1).float()


def sampled(model: Any, positive: Any, seed: int, network: str = UNET) -> Tensor:
    """Latents of one prompt and a batch of noise."""
    samplers, (steps, cfg, scheduler) = part("nodes.host.samplers"), SAMPLING[network]
    negative = encoded("", network)
    plan = samplers.plan_of(model, positive, negative, steps, cfg, "euler", scheduler)
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
def source(swap: str, seed: int, network: str, objects: int) -> tuple[Tensor, Any, Any]:
    """Images of the source, and its reference and path."""
    model, (steps, cfg, scheduler) = loaded(network)[0], SAMPLING[network]
    node = part("nodes.editing.record_reference").RecordReference
    widgets = (FIRST + seed, steps, cfg, scheduler, 1.0, "euler", True, True, "default")
    latent, caption = {"samples": torch.zeros(BATCH, 4, 16, 16)}, prompts(swap, seed, objects)[0]
    prompt, negative = (encoded(text, network) for text in (caption, ""))
    found = node.execute(model, prompt, *widgets, negative, latent).args
    return decoded(found[1]["samples"]), found[0], found[2]


def edited(method: str, swap: str, seed: int) -> Tensor:
    """Images of the edit by a method."""
    way, network, objects = method.split(",")[0], METHODS[method].network, METHODS[method].objects
    model, clip, _ = loaded(network)
    before, after = prompts(swap, seed, objects)
    _, reference, path = source(swap, seed, network, objects)
    positive = encoded(after, network)
    if way == "Prompt-to-Prompt":
        host = part("nodes.host.prompt_to_prompt")
        colours = "\n".join(sorted({before.split()[2], after.split()[2]}))
        cross, own = WORD_ENDS[network]
        words = colours if network == UNET else ""
        edit = host.Edit(before, after, cross_end=cross, self_end=own, words=words)
        model, positive = host.edited(model, clip, edit, path)
    elif method in PLUG_ENDS:
        host = part("nodes.host.plug_and_play")
        ends = PLUG_ENDS[method]
        model = host.plugged(model, encoded(before, network), path, *ends, "default")
    elif way != "the prompt alone":
        model = part("nodes.host.guide").apply(model, [kept(way, reference)])
    return decoded(sampled(model, positive, seed, network))


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
    network, objects = METHODS[job["method"]].network, METHODS[job["method"]].objects
    with torch.inference_mode():
        if job["method"] in GIVEN:
            direct = job["method"] != "Flow Edit"
            images = [plain(swap, job["seed"])[0], flow_edited(swap, job["seed"], direct=direct)]
        else:
            images = [
                source(swap, job["seed"], network, objects)[0],
                edited(job["method"], swap, job["seed"]),
            ]
    text = prompts(swap, job["seed"], objects)[0]
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
    names, *others = (object_words(text, number) for number in range(text.count(" and ") + 1))
    was = found(before, names)
    item = found(after, [new if word == getattr(was, kind) else word for word in names])
    # The object there, whatever it shows.
    there = min(after.items, key=lambda one: distance(one, *place(was)), default=None)
    return {
        "shown": float(there is not None and getattr(there, kind) == new),
        "kept": float(item is not None and item.size == was.size),
        "moved": distance(there, *place(was)),
        "psnr": outside(pair, [was, *([] if there is None else [there])]),
        **{key: value for other in others for key, value in beside(other, before, after).items()},
    }


def beside(names: Sequence[str], before: Verdict, after: Verdict) -> dict[str, float]:
    """Whether another object is as it was, and how far from its place."""
    was, is_now = found(before, names), found(after, names)
    return {
        "rest": float(is_now is not None and is_now.size == was.size),
        "drift": distance(is_now, *place(was)),
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
    wanted = jobs(options.seeds, options.method)
    records.complete(options.results, rows, wanted, measured)


if __name__ == "__main__":
    command.run(main, "python -m bench.editing.inside")
