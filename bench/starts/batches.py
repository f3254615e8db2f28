"""Batches guided by the pack's own start nodes, inside ComfyUI's python."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from bench.cost import comfyui as host
from bench.starts.tasks import TASKS

inside = lambda name: importlib.import_module(f"{host.PACK}.{name}")
samplers = inside("nodes.host.samplers")
oracle, scenes = inside("guidance_core.shapes.oracle"), inside("guidance_core.shapes.scenes")
keep = inside("nodes.start.keep_from_image").KeepFromImage
image = inside("nodes.start.guide_with_image").GuideWithImage
text = inside("nodes.start.guide_with_text").GuideWithText

SENTENCE = "a big red circle"
SCENES = 93_000_000  # seeds of scenes; those at 91 million were used to choose settings
Figures = dict[str, list[float]]
# Prompts of a batch, the reference scenes' images, and figures of guided ones.
Asked = tuple[list[str], Tensor, Callable[[Tensor], Figures]]


@cache
def _parts() -> tuple[Any, Any, Any]:
    """MODEL, CLIP and VAE of Shapes."""
    return host.shapes.load()


def drawn(seed: int, count: int | None = 1) -> Any:
    """A scene of its own for each seed."""
    return scenes.random_scene(torch.Generator().manual_seed(SCENES + seed), count)


def changed(scene: Any, seed: int) -> Any:
    """The scene with other colours and other shapes."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda names: names[int(torch.randint(len(names), (), generator=generator))]
    items: list[Any] = []
    for item in scene.items:
        used = {item.colour, *(other.colour for other in items)}
        colour = draw([name for name in scenes.PALETTE if name not in used])
        shape = draw([name for name in scenes.SHAPES if name != item.shape])
        items.append(replace(item, colour=colour, shape=shape))
    return scenes.Scene(tuple(items))


def overlap(images: Tensor, others: Tensor) -> list[float]:
    """Intersection over union of what is not background."""
    one, other = oracle.nearest(images) > 0, oracle.nearest(others) > 0
    both, either = (one & other).flatten(1).sum(1), (one | other).flatten(1).sum(1)
    return (both / either.clamp_min(1)).tolist()


def palette_distance(images: Tensor, others: Tensor) -> list[float]:
    """Fraction of the palettes of what is not background that differs."""
    one, other = _colours(images), _colours(others)
    return ((one - other).abs().sum(1) / 2).tolist()


def _colours(images: Tensor) -> Tensor:
    seen = oracle.nearest(images).flatten(1)
    counts = torch.stack([(seen == k + 1).sum(1) for k in range(len(scenes.PALETTE))], 1)
    return counts / counts.sum(1, keepdim=True).clamp_min(1)


def _matching(images: Tensor, texts: Sequence[str]) -> list[float]:
    verdicts = oracle.judge(images)
    return [float(v.matches(text)) for v, text in zip(verdicts, texts, strict=True)]


def _layout(seeds: Sequence[int]) -> Asked:
    there = [drawn(seed, None) for seed in seeds]
    texts = [changed(scene, seed).caption() for scene, seed in zip(there, seeds, strict=True)]
    pictures = scenes.render(there)
    figures = lambda got: {"iou": overlap(got, pictures), "prompt": _matching(got, texts)}
    return texts, pictures, figures


def _look(seeds: Sequence[int]) -> Asked:
    there = [drawn(seed) for seed in seeds]
    other = [drawn(seed + 1_000_000) for seed in seeds]
    others = [changed(scene, seed) for scene, seed in zip(other, seeds, strict=True)]
    texts = [scene.caption(("size", "shape")) for scene in others]

    def figures(got: Tensor) -> Figures:
        pairs = zip(oracle.judge(got), there, strict=True)
        own = [
            float(bool(v.items) and {i.colour for i in v.items} == {s.items[0].colour})
            for v, s in pairs
        ]
        return {"colour": own, "prompt": _matching(got, texts)}

    return texts, scenes.render(there), figures


def _image(seeds: Sequence[int]) -> Asked:
    there = [drawn(seed) for seed in seeds]
    pictures, captions = scenes.render(there), [scene.caption() for scene in there]

    def figures(got: Tensor) -> Figures:
        distances = palette_distance(got, pictures)
        return {
            "iou": overlap(got, pictures),
            "palette": distances,
            "same": _matching(got, captions),
        }

    return [""] * len(seeds), pictures, figures


def _text(seeds: Sequence[int]) -> Asked:
    wanted = [SENTENCE] * len(seeds)
    figures = lambda got: {"prompt": _matching(got, wanted)}
    return [""] * len(seeds), scenes.render([drawn(seed) for seed in seeds]), figures


ASKED = {"layout": _layout, "look": _look, "text": _text}


def _started(task: str, pictures: Tensor, amount: float) -> Any:
    """The guided MODEL of a task's node."""
    model, _, vae = _parts()
    strength = {"model": model, "vae": vae, "strength": "custom", "amount": amount}
    if task == "text":
        return text.execute(text=SENTENCE, **strength).args[0]
    reference = pictures.movedim(1, -1)
    if task in ("layout", "look"):
        return keep.execute(image=reference, keep=task, **strength).args[0]
    return image.execute(image=reference, copy=task, **strength).args[0]


def _encoded(texts: Sequence[str]) -> Any:
    """One CONDITIONING with a row for each text."""
    clip = _parts()[1]
    rows = [clip.encode_from_tokens_scheduled(clip.tokenize(text))[0] for text in texts]
    return [[torch.cat([row[0] for row in rows]), {}]]


def measured(job: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of every image of a batch."""
    task, batch = TASKS[job["task"]], job["batch"]
    seeds = range(job["seed"], job["seed"] + batch)
    with torch.inference_mode():
        texts, pictures, figures = ASKED.get(task.name, _image)(seeds)
        model = _started(task.name, pictures, job["amount"])
        widgets = (task.steps, task.cfg, "euler", "normal")
        plan = samplers.plan_of(model, _encoded(texts), _encoded([""] * batch), *widgets)
        start = {"samples": torch.zeros(batch, 4, 16, 16)}
        latent = samplers.sample(plan, "euler", job["seed"], start)
        found = figures(_parts()[2].decode(latent["samples"]).movedim(-1, 1))
    return {name: [round(value, 4) for value in found[name]] for name in task.figures}
