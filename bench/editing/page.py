"""The page of the editing benchmark."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from bench import markdown
from bench.editing import swaps
from bench.editing.task import Figure, Figures
from bench.editing.tasks import TASKS
from bench.records import Row

COLUMNS = ("task", "figure", "asked", "unguided", "guided", "images", "steps", "settings")
# A ratio of shares needs this many images, on either side, that show what is asked.
ENOUGH = 5
HIGH, LOW = ("share", "mean", "median up"), ("low", "median", "missing", "p")
UP = {kind: kind in HIGH for kind in HIGH + LOW}
PAGE = """\
# Editing on Shapes

Written by `python -m bench.editing`: CFG 4 where nothing else is said, Euler, weights {weights}.
The oracle judges from pixels; distances are fractions of the image's side, an object that is not
there has distance and error 1. Unguided is the same seed without guidance (of edits with a
direction: without the energy). Images whose source lacks what is edited do not count. Of shares and
means the standard error stands behind them.

{table}
{swaps}"""
SWAPS = """
## One word swapped

{table}

Measured inside ComfyUI: {steps} Euler steps, CFG {cfg:g}; of joint attention, by the transformer of
Shapes, {joint_steps} steps, CFG {joint_cfg:g}. The captions name two objects, the word swapped is
one of the first; of joint attention one object, but where it says two. Images whose source lacks
its caption do not count: of each row 32 to 40 were sampled, by the transformer 64, of two objects
by it 256. No seed had a part in choosing anything. "Shows it": the nearest object to where the
first one was has the new attribute. "The other object kept": there, with its colour, shape and
size. Distances are fractions of the side, 1 where the object is gone. PSNR is of the pixels outside
of the swapped object before and after, {around} pixels around it left out. Evaluations are rows of
the network an image and step, with the source's; a backward pass counts as two. *Flow Edit* is
given the finished image, and takes its own steps. Asked of *Prompt-to-Prompt*: shows it ≥ 90 %, the
other object's drift ≤ 0.03, PSNR ≥ 30 dB; of *Flow Edit*: shows it ≥ 90 %, PSNR ≥ 32 dB.
"""


def value(figure: Figure, rows: Sequence[Figures], side: str) -> float | None:
    """A figure of one side, unguided or guided; None where it was not measured."""
    if figure.kind == "p":
        return mcnemar(rows, figure.key) if side == "guided" else None
    found = [float(row[side][figure.key]) for row in rows if figure.key in row[side]]
    if not found:
        return None
    if figure.kind == "missing":
        return 1 - statistics.fmean(found)
    middle = figure.kind.startswith("median")
    return statistics.median(found) if middle else statistics.fmean(found)


def mcnemar(rows: Sequence[Figures], key: str) -> float:
    """The exact two-sided p of as many images fixed and broken, if guidance changed nothing."""
    changes = [bool(row["guided"][key]) - bool(row["unguided"][key]) for row in rows]
    fixed, broken = changes.count(1), changes.count(-1)
    tail = sum(math.comb(fixed + broken, k) for k in range(min(fixed, broken) + 1))
    return min(1.0, 2 * tail / 2 ** (fixed + broken))


def asked(figure: Figure) -> str:
    """The bound in words."""
    if figure.bound is None:
        return ""
    sign = "≥" if UP[figure.kind] else "≤"
    return f"{sign} {figure.bound:g}" + (" x unguided" if figure.relative else "")


def met(figure: Figure, rows: Sequence[Figures]) -> bool | None:
    """Whether the bound is met; None where there is none, or too few images for a ratio."""
    plain, guided = (value(figure, rows, side) for side in ("unguided", "guided"))
    reached = plain if guided is None else guided
    if figure.bound is None or reached is None:
        return None
    if figure.relative:
        enough = max(reached, plain or 0.0) * len(rows) >= ENOUGH
        bound = figure.bound * (plain or 0.0)
        return (reached >= bound if UP[figure.kind] else reached <= bound) if enough else None
    bound = figure.bound
    return reached >= bound if UP[figure.kind] else reached <= bound


def table(rows: Mapping[str, Sequence[Figures]]) -> str:
    """All figures of all measured tasks, in Markdown."""
    lines = []
    for task in (task for task in TASKS if rows.get(task.name)):
        name, steps, settings = task.name, str(task.steps), task.settings
        for figure in task.figures:
            line = _cells(figure, rows[task.name])
            lines.append([name, *line, str(len(rows[task.name])), steps, settings])
            name = steps = settings = ""
    return "\n".join(markdown.table(COLUMNS, lines))


def _cells(figure: Figure, rows: Sequence[Figures]) -> list[str]:
    plain, guided = (_shown(figure, rows, side) for side in ("unguided", "guided"))
    unknown = " (too few)" if figure.relative else ""
    mark = {True: "", False: " (missed)", None: unknown}[met(figure, rows)]
    return [figure.name, asked(figure), plain, guided + mark if guided else ""]


def _shown(figure: Figure, rows: Sequence[Figures], side: str) -> str:
    """A figure, of shares and means with the standard error."""
    number = value(figure, rows, side)
    if number is None:
        return ""
    if figure.kind == "p":
        return f"{number:.2g}"
    if number is None:
        return ""
    if figure.kind == "p":
        return f"{number:.2g}"
    places = 3 if figure.kind in ("missing", "low") else 1 if number > 10 else 2
    if figure.kind.startswith("median"):
        return f"{number:.{places}f}"
    return f"{number:.{places}f} ± {error(figure, rows, side):.{places}f}"


def error(figure: Figure, rows: Sequence[Figures], side: str) -> float:
    """The standard error of a share or a mean over images."""
    found = [float(row[side][figure.key]) for row in rows if figure.key in row[side]]
    spread = statistics.stdev if figure.kind in ("mean", "low") else statistics.pstdev
    return spread(found) / math.sqrt(len(found)) if len(found) > 1 else 0.0


def page(rows: Mapping[str, Sequence[Figures]], weights: str, swapped: Sequence[Row] = ()) -> str:
    """The whole page in Markdown."""
    steps, cfg, _ = swaps.SAMPLING[swaps.UNET]
    joint_steps, joint_cfg, _ = swaps.SAMPLING[swaps.TRANSFORMER]
    sides = {"steps": steps, "cfg": cfg, "joint_steps": joint_steps, "joint_cfg": joint_cfg}
    sides["around"] = swaps.AROUND
    lines = "\n".join(swaps.table(swapped))
    section = SWAPS.format(table=lines, **sides) if swapped else ""
    return PAGE.format(weights=weights, table=table(rows), swaps=section)
