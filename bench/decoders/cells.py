"""What is asked through which decoder, and what the oracle counts."""

from __future__ import annotations

from typing import Any

import torch

from bench.quality.tasks import TASKS as ASKED
from bench.quality.tasks import Task
from bench.records import Row, fingerprint_with
from guidance_core.rules.forward import Forward
from guidance_core.schedules import PercentWindow
from guidance_core.shapes import oracle
from guidance_core.shapes.scenes import Scene
from tools.diffusers_host import DECODERS, FAST_DECODER, Settings, Shapes, sample

FIRST_SEED = 50_000_000  # no seed from here on had a part in choosing anything
CONFIDENCE = 0.9  # of the label's node
STEPS = 20
TASKS = tuple(task for task in ASKED if task.name in ("colour label", "shape label", "CLIP text"))
# Strength and end of Rule: Forward, as in the demo.
STRENGTHS = {"colour label": (0.8, 1.0), "shape label": (0.8, 1.0), "CLIP text": (1.4, 0.9)}


def cell(task: Task, decoder: str) -> Row:
    """What tells the batches of a task and a decoder from others."""
    fitted = [FAST_DECODER.stem] * (decoder == "fitted")
    weights = fingerprint_with((*task.networks, *fitted))
    return {"task": task.name, "decoder": decoder, "weights": weights}


def jobs(tasks: list[Task], batches: list[tuple[int, int]]) -> list[Row]:
    """Every batch, the first seeds of all cells first."""
    return [
        cell(task, decoder) | {"seed": FIRST_SEED + seed, "batch": size}
        for seed, size in batches
        for task in tasks
        for decoder in reversed(DECODERS)
    ]


def measured(model: Shapes, task: Task, job: Row) -> dict[str, Any]:
    """What the oracle says of each image of a batch."""
    strength, until = STRENGTHS[task.name]
    energy = task.build(model.device, torch.empty(0), CONFIDENCE)
    rule = Forward(energy, PercentWindow(0.0, until, value=strength))
    settings = Settings(
        seed=job["seed"], batch=job["batch"], steps=STEPS, eta=1.0, decoder=job["decoder"]
    )
    images = model.images(sample(model, [rule], settings, positive=task.prompt))
    verdicts = oracle.judge(images)
    return {
        "satisfied": [task.satisfied(verdict, Scene(())) for verdict in verdicts],
        "clean": [verdict.clean for verdict in verdicts],
    }
