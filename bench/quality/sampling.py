"""One batch of a task by a method: its images, what it cost, and what the oracle sees."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench.quality.methods import Method, denoised, steps_within
from bench.quality.tasks import Task, scenes_of
from bench.records import Row
from guidance_core.procedures.inversion import psnr
from guidance_core.shapes import oracle, scenes
from guidance_core.types import Rule
from tools import diffusers_host


def truth(seed: int, batch: int) -> Tensor:
    """Images to be restored, for a batch of seeds."""
    return scenes.render(scenes_of(seed, batch))


def sampled(
    model: diffusers_host.Shapes, task: Task, method: Method, rules: Sequence[Rule], batch: Row
) -> tuple[Tensor, float, int]:
    """Images (B, 3, 128, 128), seconds for one of them, and evaluations of the model for each."""
    fraction = denoised(method, task)
    settings = diffusers_host.Settings(
        seed=batch["seed"],
        batch=batch["batch"],
        steps=batch["steps"],
        recurrences=method.recurrences,
        end_percent=method.end_percent,
        eta=method.eta if fraction == 1 else 0.0,  # fresh noise would hide what the start shows
        denoise=fraction,
    )
    start = None
    if fraction < 1:
        start = model.latents(task.start(truth(batch["seed"], batch["batch"])))
    evaluations = 0

    def counted(module: object, args: object, output: Any) -> None:
        nonlocal evaluations
        evaluations += 2 if output.sample.requires_grad else 1

    hook = model.unet.register_forward_hook(counted)
    began = time.perf_counter()
    try:
        latents = diffusers_host.sample(model, rules, settings, positive=task.prompt, start=start)
    finally:
        hook.remove()
    images = model.images(latents)
    return images, (time.perf_counter() - began) / len(images), evaluations


def figures(task: Task, seed: int, images: Tensor) -> dict[str, Any]:
    """What the oracle sees, how far the images are from each other, and from the true ones."""
    verdicts, gaps = oracle.judge(images), torch.pdist(images.flatten(1))
    true = scenes_of(seed, len(images))
    return {
        "satisfied": [task.satisfied(v, scene) for v, scene in zip(verdicts, true, strict=True)],
        "psnr": float(psnr(images, scenes.render(true)).mean()) if task.restores else None,
        "clean": [verdict.clean for verdict in verdicts],
        "diversity": float(gaps.sum()) / max(1, len(gaps)) / images[0].numel() ** 0.5,
    }


def measured(model: diffusers_host.Shapes, task: Task, method: Method, batch: Row) -> Row:
    """What came of one batch, or why nothing did."""
    true = truth(batch["seed"], batch["batch"])
    energy = task.build(model.device, true, method.confidence)
    try:
        rules = method.rules(energy, task)
    except ValueError as error:
        return {"refused": str(error)}
    steps = {"steps": steps_within(method, task, rules, batch["budget"])}
    try:
        images, seconds, evaluations = sampled(model, task, method, rules, batch | steps)
    except RuntimeError as error:
        if "not finite" not in str(error):
            raise
        return {**steps, "diverged": str(error)}
    cost = {"evaluations": evaluations, "seconds": seconds}
    return {**steps, **cost, **figures(task, batch["seed"], images)}
