"""Which directions are compared, their settings, rows and table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

from bench import markdown
from bench.records import Row
from guidance_core.shapes import scenes

# Noise of the measured images and of the runs that directions are found in, apart from each other.
FIRST, FOUND = 30_000_000, 40_000_000
BATCH, STEPS = 8, 10
# Images of a run that a direction is found in.
TOGETHER = 6
# Farthest that an object's centroid may move, in sides of the image.
NEAR = 0.05


@dataclass(frozen=True)
class Edit:
    """What becomes of an object, and the prompts that say it.

    Arguments:
        name: of its task.
        word: what is changed: colour or size.
        target: what it should be.
        source: captions of what is there, in turn; the edit is made under these.
        wanted: captions of what it should become.
        cfg: scale of classifier-free guidance.
    """

    name: str
    word: str
    target: str
    source: tuple[str, ...]
    wanted: tuple[str, ...]
    cfg: float

    @property
    def kept(self) -> tuple[str, ...]:
        """What must stay beside the place."""
        return ("shape",) if self.word == "colour" else ("shape", "colour")


def _prompts(*words: Sequence[str]) -> tuple[str, ...]:
    """Captions of one object of every combination of words."""
    return tuple(f"a {' '.join(filter(None, chosen))}" for chosen in product(*words))


SIZES, COLOURS, SHAPES = tuple(scenes.SIZES), tuple(scenes.PALETTE), scenes.SHAPES
RED_TO_BLUE, OPEN_TO_BLUE, OPEN_TO_BIG = (
    Edit(
        "red to blue",
        "colour",
        "blue",
        _prompts(SIZES, ["red"], SHAPES),
        _prompts(SIZES, ["blue"], SHAPES),
        4.0,
    ),
    Edit(
        "a colour left open to blue",
        "colour",
        "blue",
        _prompts(SIZES, SHAPES),
        _prompts(SIZES, ["blue"], SHAPES),
        1.0,
    ),
    Edit(
        "a size left open to big",
        "size",
        "big",
        _prompts(COLOURS, SHAPES),
        _prompts(["big"], COLOURS, SHAPES),
        1.0,
    ),
)


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
        edit: what it is asked.
        train_start: where it is not `start`.
        train_end: where it is not `end`.
    """

    way: str = ""
    runs: int = 0
    strength: float = 0.0
    start: float = 0.0
    end: float = 1.0
    rate: float = 0.01
    edit: Edit = RED_TO_BLUE
    train_start: float | None = None
    train_end: float | None = None

    @property
    def settings(self) -> str:
        """What tells rows of these settings from others."""
        told = {name: value for name, value in asdict(self).items() if name != "edit"}
        return ", ".join(f"{k} {value}" for k, value in told.items() if value is not None)


TRAINED = Method("trained by prompts", 16, 1.0, 0.35, 0.75, 0.003)
METHODS = {
    "unedited": Method(),
    "trained": TRAINED,
    "two prompts": Method("prompts", 6, 4.0, 0.0),
    "unedited, colour open": Method(edit=OPEN_TO_BLUE),
    "trained, colour open": Method(
        *("trained by prompts", 600, 1.1, 0.2, 1.0, 0.003, OPEN_TO_BLUE),
        train_start=0.1,
        train_end=0.7,
    ),
    "unedited, size open": Method(edit=OPEN_TO_BIG),
    "trained, size open": replace(TRAINED, runs=48, start=0.2, end=1.0, edit=OPEN_TO_BIG),
}
COLUMNS = (
    *("by", "changed", "to what is asked", "shape and place kept", "all of it"),
    *("images", "settings"),
)


def unedited(method: Method) -> str:
    """The name of the unedited runs of a method's task."""
    return next(
        name for name, one in METHODS.items() if not one.way and one.edit.name == method.edit.name
    )


def caption(edit: Edit, seed: int) -> str:
    """The prompt of a batch of noise: each in its turn."""
    return edit.source[seed // BATCH % len(edit.source)]


def jobs(weights: str, seeds: int, methods: Sequence[str]) -> list[Row]:
    """Every batch asked for, all methods on it before the next."""
    return [
        {
            "weights": weights,
            "task": METHODS[name].edit.name,
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
        {
            "weights": weights,
            "task": method.edit.name,
            "method": name,
            "settings": method.settings,
        }
        for name, method in METHODS.items()
    ]


def table(rows: Sequence[Row]) -> list[str]:
    """All methods, in Markdown."""
    lines = []
    for name, method in METHODS.items():
        images = [one for row in rows if row["method"] == name for one in row["rows"]]
        if images:
            shares = [markdown.share([one[key] for one in images]) for key in FIGURES]
            lines.append([name, *shares, str(len(images)), method.settings])
    return markdown.table(COLUMNS, lines)


FIGURES = ("changed", "asked", "kept", "whole")
