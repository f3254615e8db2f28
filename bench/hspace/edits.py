"""Which directions are compared, their settings, rows and table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from bench import markdown
from bench.records import Row
from guidance_core.shapes import scenes

TASK = "red to blue"
SOURCE, TARGET = "red", "blue"
# Noise of the measured images and of the runs that directions are found in, apart from each other.
FIRST, FOUND = 30_000_000, 40_000_000
BATCH, STEPS, CFG = 8, 10, 4.0
# Farthest that an object's centroid may move, in sides of the image.
NEAR = 0.05
KINDS = tuple(f"{size} {{}} {shape}" for size in scenes.SIZES for shape in scenes.SHAPES)


@dataclass(frozen=True)
class Method:
    """How a direction is found and used, in the words of the nodes.

    Arguments:
        way: of Find h-space Direction; empty for the unedited runs.
        runs: of it, six images each.
        strength: of h-space Edit.
        start: edit_start and train_start.
        end: edit_end and train_end.
        rate: of a trained one.
    """

    way: str = ""
    runs: int = 0
    strength: float = 0.0
    start: float = 0.0
    end: float = 1.0
    rate: float = 0.01

    @property
    def settings(self) -> str:
        """What tells rows of these settings from others."""
        return ", ".join(f"{name} {value}" for name, value in asdict(self).items())


METHODS = {
    "unedited": Method(),
    "trained": Method("trained by prompts", 16, 1.0, 0.35, 0.75),
    "two prompts": Method("prompts", 6, 4.0, 0.0),
}
COLUMNS = (
    *("by", "colour changed", "to the one asked for", "shape and place kept", "all of it"),
    *("images", "settings"),
)


def prompts(colour: str) -> list[str]:
    """Captions of one object of every shape and size, in this colour."""
    return [f"a {kind.format(colour)}" for kind in KINDS]


def jobs(weights: str, seeds: int, methods: Sequence[str]) -> list[Row]:
    """Every batch asked for, all methods on it before the next."""
    return [
        {
            "weights": weights,
            "task": TASK,
            "method": name,
            "settings": METHODS[name].settings,
            "seed": seed,
        }
        for seed in range(0, seeds, BATCH)
        for name in methods
    ]


def known(weights: str) -> list[Mapping[str, str]]:
    """What rows of these weights and of today's settings say."""
    return [
        {"weights": weights, "task": TASK, "method": name, "settings": method.settings}
        for name, method in METHODS.items()
    ]


def table(rows: Sequence[Row]) -> list[str]:
    """All methods, in Markdown."""
    lines = []
    for name, method in METHODS.items():
        images = [one for row in rows if row["method"] == name for one in row["rows"]]
        if images:
            shares = [_share([one[key] for one in images]) for key in FIGURES]
            lines.append([name, *shares, str(len(images)), method.settings])
    return markdown.table(COLUMNS, lines)


FIGURES = ("changed", "asked", "kept", "whole")


def _share(flags: Sequence[float]) -> str:
    share = fmean(flags)
    error = (share * (1 - share) / len(flags)) ** 0.5
    return f"{100 * share:.0f} ± {100 * error:.0f}"
