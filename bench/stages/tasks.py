"""What is asked of morphs, un-cropped images and cascades, and the ways that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.records import Row


@dataclass(frozen=True)
class Figure:
    """One number of a task's images.

    Arguments:
        name: of its column.
        key: its name in the rows.
        kind: "share" of images, or "mean".
    """

    name: str
    key: str
    kind: str = "share"


@dataclass(frozen=True)
class Task:
    """One system.

    Arguments:
        name: on the command line.
        title: of its table.
        asked: the bound, in words.
        batch: images that are measured together.
        methods: settings of each way that is compared, in the words of the nodes.
        figures: what is told of it.
    """

    name: str
    title: str
    asked: str
    batch: int
    methods: Mapping[str, str]
    figures: tuple[Figure, ...]


INVERT = "Invert, 15 steps, 3 iterations"
CUT = "12 steps, euler_ancestral"
TASKS = (
    Task(
        "morph",
        "From one scene to another in 9 frames",
        "size, place and colour go one way in at least 90 % of pairs, and the largest step is at "
        "most twice the mean one",
        1,
        {
            "Morph": f"{INVERT}; displacement 0.4, attention 0, 18 sampled",
            "Morph, 12 sampled": f"{INVERT}; displacement 0.4, attention 0, 12 sampled",
            "Morph, from noise": f"{INVERT}; displacement 0, attention 0.6, 27 sampled",
            "Morph, plain": f"{INVERT}; displacement 0, attention 0, 9 sampled",
            "fading the pixels": "",
        },
        (
            Figure("size goes one way", "size"),
            Figure("place", "place"),
            Figure("colour", "colour"),
            Figure("all three", "monotone"),
            Figure("largest step at most twice the mean", "even"),
            Figure("largest step / mean", "ratio", "mean"),
            Figure("frames of one whole object, %", "whole", "mean"),
        ),
    ),
    Task(
        "uncrop",
        "Beyond the right edge, through which an object is cut",
        "whole in at least 60 % of images",
        8,
        {
            "Measurement and noise mask": f"{CUT}, CFG 2, each step twice; strength 1 to the end",
            "noise mask alone": f"{CUT}, CFG 4; SetLatentNoiseMask",
            "the prompt alone": f"{CUT}, CFG 4",
        },
        (
            Figure("whole", "whole"),
            Figure("PSNR of what was there, dB", "seen", "mean"),
        ),
    ),
    Task(
        "cascade",
        "From 128 over 256 to 512 pixels",
        "shrunk again, at least 40 dB beside the image",
        1,
        {
            "by stages": "tiles of 128, overlap 0.25; 6 steps, CFG 1, denoise 0.3, strength 1",
            "by stages, not exact": "the same, without exact",
            "by stages, not held": "the same, strength 0, without exact",
            "bicubic": "",
        },
        (
            Figure("shrunk again, dB", "kept", "mean"),
            Figure("of 40 dB or more", "bound"),
            Figure("beside the true scene at 512, dB", "truth", "mean"),
        ),
    ),
)


def jobs(weights: str, seeds: int, names: Sequence[str], methods: Sequence[str]) -> list[Row]:
    """Every batch asked for, the first seeds of all ways first."""
    return [
        {**identity(task, method, weights), "seed": seed}
        for task in TASKS
        if task.name in names
        for seed in range(0, seeds, task.batch)
        for method in task.methods
        if not methods or method in methods
    ]


def identity(task: Task, method: str, weights: str) -> Row:
    """What makes batches comparable."""
    return {
        "weights": weights,
        "task": task.name,
        "method": method,
        "settings": task.methods[method],
    }


def known(weights: str) -> list[Row]:
    """What rows of these weights and of today's settings say."""
    return [identity(task, method, weights) for task in TASKS for method in task.methods]
