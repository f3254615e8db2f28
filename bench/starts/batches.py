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
ENOUGH = 0.5  # IoU at which an object counts as where another is
SCENES = 93_000_000  # seeds of scenes; those at 91 million were used to choose settings
Figures = dict[str, list[float]]
# Prompts of a batch, the images of its reference scenes in the order that nodes take them, and
# figures of guided ones.
Asked = tuple[list[str], Sequence[Tensor], Callable[[Tensor], Figures]]


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


def _coloured(images: Tensor, there: Sequence[Any]) -> list[float]:
    """Whether all objects of each image have the colour of a scene's only one."""
    pairs = zip(oracle.judge(images), there, strict=True)
    return [
        float(bool(v.items) and {i.colour for i in v.items} == {s.items[0].colour})
        for v, s in pairs
    ]


def _layout(seeds: Sequence[int]) -> Asked:
    there = [drawn(seed, None) for seed in seeds]
    texts = [changed(scene, seed).caption() for scene, seed in zip(there, seeds, strict=True)]
    pictures = scenes.render(there)
    figures = lambda got: {"iou": overlap(got, pictures), "prompt": _matching(got, texts)}
    return texts, [pictures], figures


def _look(seeds: Sequence[int]) -> Asked:
    there = [drawn(seed) for seed in seeds]
    other = [drawn(seed + 1_000_000) for seed in seeds]
    others = [changed(scene, seed) for scene, seed in zip(other, seeds, strict=True)]
    texts = [scene.caption(("size", "shape")) for scene in others]

    figures = lambda got: {"colour": _coloured(got, there), "prompt": _matching(got, texts)}
    return texts, [scenes.render(there)], figures


def _mixed(seeds: Sequence[int]) -> Asked:
    """The layout of one scene of one object in the looks of another."""
    there, looks = [drawn(seed) for seed in seeds], [drawn(seed + 2_000_000) for seed in seeds]
    others = [changed(scene, seed) for scene, seed in zip(there, seeds, strict=True)]
    texts = [scene.caption(("size", "shape")) for scene in others]
    pictures = scenes.render(there)

    def figures(got: Tensor) -> Figures:
        near, own = overlap(got, pictures), _coloured(got, looks)
        both = [float(iou >= ENOUGH and same) for iou, same in zip(near, own, strict=True)]
        return {"iou": near, "colour": own, "all": both, "prompt": _matching(got, texts)}

    return texts, [pictures, scenes.render(looks)], figures


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

    return [""] * len(seeds), [pictures], figures


def _text(seeds: Sequence[int]) -> Asked:
    wanted = [SENTENCE] * len(seeds)
    figures = lambda got: {"prompt": _matching(got, wanted)}
    return [""] * len(seeds), [], figures


# What Keep from Image keeps of each reference, for those that it serves.
KEEPS: dict[str, tuple[str, ...]] = {
    "layout": ("layout",),
    "look": ("look",),
    "layout and look": ("layout", "look"),
    "mixed, layout alone": ("layout",),
    "mixed, look alone": ("", "look"),
}
ASKED = {"layout": _layout, "look": _look, "text": _text} | dict.fromkeys(list(KEEPS)[2:], _mixed)


def _started(task: str, references: Sequence[Tensor], amount: float) -> Any:
    """The guided MODEL of a task's node, or of one for each reference."""
    model, _, vae = _parts()
    strength = {"vae": vae, "strength": "custom", "amount": amount}
    if task == "text":
        return text.execute(model=model, text=SENTENCE, **strength).args[0]
    if task not in KEEPS:
        (reference,) = (pictures.movedim(1, -1) for pictures in references)
        return image.execute(model=model, image=reference, copy=task, **strength).args[0]
    for kept, pictures in zip(KEEPS[task], references, strict=False):
        if kept:
            reference = pictures.movedim(1, -1)
            model = keep.execute(model=model, image=reference, keep=kept, **strength).args[0]
    return model


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
        texts, references, figures = ASKED.get(task.name, _image)(seeds)
        model = _started(task.name, references, job["amount"])
        widgets = (task.steps, task.cfg, "euler", "normal")
        plan = samplers.plan_of(model, _encoded(texts), _encoded([""] * batch), *widgets)
        start = {"samples": torch.zeros(batch, 4, 16, 16)}
        latent = samplers.sample(plan, "euler", job["seed"], start)
        found = figures(_parts()[2].decode(latent["samples"]).movedim(-1, 1))
    return {name: [round(value, 4) for value in found[name]] for name in task.figures}
