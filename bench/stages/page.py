"""The page of morphs, un-cropped images and cascades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from bench import markdown
from bench.records import Row
from bench.stages.tasks import TASKS, Figure, Task

PAGE = """\
# Morphs, images continued beyond their edge, and cascades

Written by `python -m bench.stages` on Shapes, weights {weights}. Shares in percent and means, ±
standard error; the oracle judges from pixels. No seed had a part in choosing anything.

{tables}

## How it is judged

* *Morph*: scenes of one object, inverted by their captions. What is not ground is read from the
  pixels of each frame: its area, as the radius of a circle, its centroid and its mean colour. Each
  goes one way if it never falls back, along the line from the first frame to the last, by more
  than 2 pixels of radius, 0.03 of the side, or 0.2 in RGB of 0 to 1, the oracle's own tolerance of
  colours. A frame that shows nothing goes no way. Steps are the distances that the node measures:
  colours in CIE L\\*a\\*b\\* at five sizes.
* Un-cropping: the right 40 of 128 columns are missing, and a quarter to three quarters of an object
  are left. What was there is put back, as in stock inpainting; whole is an image that then shows
  the caption of its scene, all objects whole, and nothing else.
* The cascade begins with drawn scenes of 128 pixels; the truth is the same scene drawn at 512.
"""


def page(rows: Sequence[Row], weights: str) -> str:
    """The whole page in Markdown."""
    return PAGE.format(tables="\n".join(tables(rows)).rstrip(), weights=weights)


def tables(rows: Sequence[Row]) -> list[str]:
    """The tables of all tasks that were measured."""
    lines: list[str] = []
    for task in TASKS:
        found = [line for name in task.methods if (line := _line(task, name, rows))]
        if found:
            head = ["", *(figure.name for figure in task.figures), "images", "settings"]
            lines += [f"## {task.title}", "", f"Asked: {task.asked}.", ""]
            lines += [*markdown.table(head, found), ""]
    return lines


def _line(task: Task, method: str, rows: Sequence[Row]) -> list[str]:
    own = [row for row in rows if (row["task"], row["method"]) == (task.name, method)]
    images = [one for row in own for one in row["rows"]]
    if not images:
        return []
    cells = [_cell(figure, images) for figure in task.figures]
    return [method, *cells, str(len(images)), task.methods[method]]


def _cell(figure: Figure, images: Sequence[Mapping[str, float]]) -> str:
    values = [one[figure.key] for one in images]
    mean = fmean(values)
    if figure.kind == "share":
        error = (mean * (1 - mean) / len(values)) ** 0.5
        return f"{100 * mean:.0f} ± {100 * error:.0f}"
    error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{mean:.1f} ± {error:.1f}"
