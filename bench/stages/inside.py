"""Morphs, un-cropped images and cascades inside ComfyUI: `python -m bench.stages` runs it.

    python -m bench.stages.inside --task uncrop --seeds 64

Importing this starts ComfyUI's core, without a server, in this process.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench import command, records
from bench.editing.inside import encoded, loaded, part
from bench.records import MODEL, Row, fingerprint
from bench.stages import judged
from bench.stages.judged import CUT_AT
from bench.stages.tasks import TASKS, jobs
from guidance_core.shapes import scenes
from guidance_core.shapes.scenes import SIDE

STEPS, ITERATIONS, FRAMES = 15, 3, 9
# Of Morph: displacement, attention, sampled.
MORPHS = {
    "Morph": (0.4, 0.0, 18),
    "Morph, 12 sampled": (0.4, 0.0, 12),
    "Morph, from noise": (0.0, 0.6, 27),
    "Morph, plain": (0.0, 0.0, FRAMES),
}
BATCH = {task.name: task.batch for task in TASKS}


@cache
def inverted(seed: int) -> tuple[Any, Any]:
    """Paths of both scenes of a pair."""
    model, _, vae = loaded()
    paths = []
    for scene in judged.pair(seed):
        latent = vae.encode(scenes.render([scene]).movedim(1, -1))
        plan = part("nodes.host.samplers").plan_of(
            *(model, encoded(scene.caption()), None, STEPS, 1.0, "euler", "normal")
        )
        paths.append(part("nodes.host.invert").inverted(plan, latent, ITERATIONS))
    return paths[0], paths[1]


def morphed(seed: int, displacement: float, attention: float, sampled: int) -> Tensor:
    """Frames (N, 3, H, W) by the node."""
    model, _, vae = loaded()
    prompts = [encoded(scene.caption()) for scene in judged.pair(seed)]
    widgets = (FRAMES, sampled, attention, 0.0, 1.0, FRAMES)
    node = part("nodes.editing.morph").Morph
    sides = (model, *inverted(seed), *prompts, vae)
    images = node.execute(*sides, *widgets, displacement=displacement).args[0]
    return images.movedim(-1, 1).float().clamp(0, 1)


def faded(seed: int) -> Tensor:
    """Frames (N, 3, H, W) between both scenes, by their pixels."""
    one, other = scenes.render(list(judged.pair(seed)))
    return torch.stack([torch.lerp(one, other, share) for share in torch.linspace(0, 1, FRAMES)])


def morph(method: str, seed: int) -> list[Mapping[str, float]]:
    """Figures of one pair."""
    images = morphed(seed, *MORPHS[method]) if method in MORPHS else faded(seed)
    return [judged.morph(images, part("guidance_core.image.perceptual").perceptual(images))]


def uncrop(method: str, seed: int) -> list[Mapping[str, float]]:
    """Figures of a batch of scenes that are cut."""
    drawn = judged.cut_scenes(seed, BATCH["uncrop"])
    truth, captions = scenes.render(drawn), [scene.caption() for scene in drawn]
    missing = torch.zeros(SIDE, SIDE)
    missing[:, CUT_AT:] = 1
    seen = torch.lerp(truth, torch.full_like(truth, 0.5), missing)
    images = continued(method, seed, seen, missing, captions)
    return [
        judged.uncrop(image, original, missing, caption)
        for image, original, caption in zip(images, truth, captions, strict=True)
    ]


def continued(method: str, seed: int, seen: Tensor, missing: Tensor, captions: list[str]) -> Tensor:
    """Images (B, 3, H, W) whose missing part is made up."""
    model, _, vae = loaded()
    samplers, window = part("nodes.host.samplers"), part("guidance_core.schedules").PercentWindow
    measured = method.startswith("Measurement")
    latent = {"samples": vae.encode(seen.movedim(1, -1)), "noise_mask": missing[None, None]}
    if method == "the prompt alone":
        latent = {"samples": torch.zeros_like(latent["samples"])}
    if measured:
        node = part("nodes.energies.measurement").EnergyMeasurement
        widgets = (1, "bicubic", "none", 3.0, 0.0, False, 0.0, False, 1.0)
        energy = node.execute(seen.movedim(1, -1), *widgets, missing=missing[None]).args[0]
        rule = part("guidance_core.rules.forward").Forward(energy, window(0.0, 1.0, value=1.0))
        model = part("nodes.host.guide").apply(model, [rule], vae=vae)
    positive = part("nodes.host.mixed_prompts").batch_of([encoded(text) for text in captions])
    cfg, recurrences = (2.0, 2) if measured else (4.0, 1)
    sampling = (12, cfg, "euler_ancestral", "normal")
    plan = samplers.plan_of(model, positive, encoded(""), *sampling)
    whole = window(0.0, 1.0)
    done = samplers.sample(plan, sampling[2], judged.FIRST + seed, latent, recurrences, whole)
    return vae.decode(done["samples"]).movedim(-1, 1).float().clamp(0, 1)


def cascade(method: str, seed: int) -> list[Mapping[str, float]]:
    """Figures of one scene."""
    scene = judged.scene(seed)
    image = scenes.render([scene])
    if method == "bicubic":
        large = torch.nn.functional.interpolate(image, scale_factor=4, mode="bicubic").clamp(0, 1)
    else:
        large = enlarged(image, seed, held="not held" not in method, exact=method == "by stages")
    return [judged.cascade(large, image, scenes.render([scene], 4 * SIDE))]


def enlarged(image: Tensor, seed: int, *, held: bool, exact: bool) -> Tensor:
    """Four times as large, by the node."""
    model, _, vae = loaded()
    node = part("nodes.sampling.cascade").Cascade
    sampling = (6, 1.0, "euler", "normal", 0.3, float(held), exact)
    widgets = (2, SIDE, 0.25, judged.FIRST + seed, *sampling)
    prompts = encoded(""), encoded("")
    found = node.execute(model, *prompts, vae, image.movedim(1, -1), *widgets).args[0]
    return found.movedim(-1, 1).float()


MEASURES: Mapping[str, Callable[[str, int], list[Mapping[str, float]]]] = {
    "morph": morph,
    "uncrop": uncrop,
    "cascade": cascade,
}


def measured(job: Row) -> Mapping[str, Any]:
    """The rest of a batch's row."""
    with torch.inference_mode():
        return {"rows": MEASURES[job["task"]](job["method"], job["seed"])}


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(prog="bench.stages.inside")
    names = [task.name for task in TASKS]
    methods = [name for task in TASKS for name in task.methods]
    parser.add_argument("--task", nargs="+", choices=names, default=names)
    parser.add_argument("--method", nargs="+", choices=methods, default=[])
    parser.add_argument("--seeds", type=command.positive, default=64)
    parser.add_argument("--results", type=Path, default=command.RESULTS / "stages.json")
    options = parser.parse_args()
    rows = records.read(options.results)
    wanted = jobs(fingerprint(*MODEL), options.seeds, options.task, options.method)
    records.complete(options.results, rows, wanted, measured)


if __name__ == "__main__":
    command.run(main, "python -m bench.stages.inside")
