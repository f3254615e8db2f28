"""One word of a prompt swapped: what is compared, its rows and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from bench import markdown
from bench.records import Row

TASK = "swap a word"
# Captions and noise are drawn from seeds of their own.
FIRST = 70_000_000
BATCH = 8
STEPS, CFG = 10, 4.0
# Pixels around an object that its edges and the decoder reach.
AROUND = 6


@dataclass(frozen=True)
class Method:
    """A way to edit.

    Arguments:
        settings: of the nodes, in their words.
        evaluations: rows of the network for an image and step, the source's among them; a backward
            pass counts as two.
    """

    settings: str
    evaluations: float


METHODS = {
    "Prompt-to-Prompt": Method("replace, 0.8 and 0.4, blend words: the colours", 5),
    "the prompt alone": Method("", 2),
    "Plug-and-Play": Method("0.8 and 0.5", 5),
    "Keep Attention": Method("Forward, relative, strength 0.1 until 0.5", 5),
    "Keep Features": Method("Forward, relative, strength 0.5 until 0.5", 5),
    "Flow Edit": Method(
        "Shapes as a flow, 20 steps, simple, n_max 16 (shape) and 14 (colour), cfg 5.5 and 1.5", 4
    ),
    "Flow Edit, direct path": Method(
        "the same, along the path of Invert, 20 steps, 1 iteration, CFG 1", 5
    ),
}
GIVEN = ("Flow Edit", "Flow Edit, direct path")  # edit a finished image
SWAPS = {
    "circle to square": ("shape", "circle", "square"),
    "red to blue": ("colour", "red", "blue"),
}
COLUMNS = (
    *("swap", "by", "shows it", "its other attributes kept", "its median drift"),
    *("the other object kept", "its median drift", "PSNR outside, dB"),
    *("evaluations", "images", "settings"),
)


def jobs(weights: str, seeds: int, methods: Sequence[str]) -> list[Row]:
    """Every batch asked for, one method after another."""
    return [
        {
            "weights": weights,
            "task": TASK,
            "settings": METHODS[name].settings,
            "method": name,
            "swap": swap,
            "seed": seed,
        }
        for name in methods
        for seed in range(0, seeds, BATCH)
        for swap in SWAPS
    ]


def known(weights: str) -> list[Mapping[str, str]]:
    """What rows of these weights and of today's settings say."""
    return [
        {"weights": weights, "task": TASK, "method": name, "settings": method.settings}
        for name, method in METHODS.items()
    ]


def table(rows: Sequence[Row]) -> list[str]:
    """All methods on all swaps, in Markdown."""
    lines = []
    for swap in SWAPS:
        for name, method in METHODS.items():
            own = [row for row in rows if (row.get("swap"), row.get("method")) == (swap, name)]
            images = [one for row in own for one in row["rows"]]
            if images:
                lines.append([swap, name, *_figures(images), f"{method.evaluations:g}"])
                lines[-1] += [str(len(images)), method.settings]
    return markdown.table(COLUMNS, lines)


def _figures(images: Sequence[Mapping[str, float]]) -> list[str]:
    decibels = [one["psnr"] for one in images]
    error = stdev(decibels) / len(decibels) ** 0.5 if len(decibels) > 1 else 0.0
    return [
        markdown.share([one["shown"] for one in images]),
        markdown.share([one["kept"] for one in images]),
        f"{median(one['moved'] for one in images):.3f}",
        markdown.share([one["rest"] for one in images]),
        f"{median(one['drift'] for one in images):.3f}",
        f"{fmean(decibels):.1f} ± {error:.1f}",
    ]
