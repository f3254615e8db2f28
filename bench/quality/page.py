"""The page of the quality benchmark."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import markdown
from bench.quality.methods import METHODS
from bench.quality.tasks import TASKS
from bench.records import Row

COLUMNS = (
    *("method", "satisfied", "clean", "both", "PSNR", "diversity"),
    *("steps", "model evaluations", "s/image", "images"),
)
ENOUGH = 32  # images of a cell, for a page without a caution
ENOUGH_IN_ALL = 64  # images of all tasks, for a mean over them
OURS, UNGUIDED = "ours", "unguided"
INTRODUCTION = """# Quality of guidance on Shapes

Written by `make bench-quality`: the same seeds and the same budget for every method, {budget}
evaluations of the model for an image, a backward pass through it counted as one more (CFG 1,
weights {weights}). Each method takes as many steps as that allows. The oracle judges from pixels:

* satisfied: a whole object is what was asked (and, for position, within 12 pixels of where it was
  asked), or every true one is restored at its place;
* clean: one or two whole objects and nothing else; both: satisfied and clean;
* PSNR to the true scene; diversity: mean RMS distance between the images of a batch.

![Satisfied against clean](benchmark.png)"""
SIZES = """\
The published methods are re-derived for this notation and keep the sizes that their code has.
Those were tuned for pixel models in 50 to 1000 steps, task by task. Here they are taken as they
are, and it shows: a size that multiplies the bare gradient does not transfer between models. DPS
with rho 1 on the label "red" moves the latent by 4.5 posterior standard deviations in the first of
20 steps, after which the classifier is saturated and its gradient vanishes; with rho 0.01 no step
moves it by more than 0.04. (The sampler is not to blame: unguided it gives 7 clean scenes of 8 with
eta 1, 5 with eta 0, and the rule's steps are those of its tests.) These few numbers are of earlier
weights of Shapes.

The rows of DPS, LGD, FreeDoM, MPGD and TFG are older than the presets' factors of today: FreeDoM's
and MPGD's step now follow the signal's fraction as their code does, and on measurements the norm is
the published one, over [-1, 1]. They have not been measured again.

CLIP text has no rows until it is measured with the CLIP that Shapes has today; what sentences reach
with it is in the help of Energy: CLIP Text."""
STARTS = """\
Restorations compare starts, not rules: only ours starts from the measurement, enlarged (image to
image), as one does in ComfyUI; the published methods start from noise, as published. That start
alone, without any rule, restores 0.43 of super-resolution and 0.36 of deblurring (12 and 10 of 28
images), more than the best published row, so no mean is taken over these tasks."""
# Figures by the names of a task and a method.
Cells = Mapping[tuple[str, str], Mapping[str, float]]


def cells(rows: Sequence[Row]) -> Cells:
    """Means over all batches of a task and a method; a batch that diverged satisfies nothing.

    A method that cannot use a task's energy has an empty cell.
    """
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["task"], row["method"]), []).append(row)
    return {
        name: {} if "refused" in batches[0] else _cell(batches) for name, batches in found.items()
    }


def shared(rows: Sequence[Row]) -> list[Row]:
    """The batches that every method of a task has by now, so that all are judged by equal seeds."""
    seeds: dict[str, dict[str, set[tuple[int, int]]]] = {}
    for row in rows:
        own = seeds.setdefault(row["task"], {}).setdefault(row["method"], set())
        own.add((row["seed"], row["batch"]))
    common = {task: set.intersection(*methods.values()) for task, methods in seeds.items()}
    return [row for row in rows if (row["seed"], row["batch"]) in common[row["task"]]]


def _cell(batches: Sequence[Row]) -> dict[str, float]:
    images = sum(batch["batch"] for batch in batches)
    whole = [batch for batch in batches if "diverged" not in batch]
    mean = lambda name: (
        sum(b[name] * b["batch"] for b in whole) / max(1, sum(b["batch"] for b in whole))
    )
    return {
        "images": images,
        "satisfied": sum(sum(b["satisfied"]) for b in whole) / images,
        "clean": sum(sum(b["clean"]) for b in whole) / images,
        "both": sum(s and c for b in whole for s, c in zip(b["satisfied"], b["clean"], strict=True))
        / images,
        "diversity": mean("diversity"),
        "steps": mean("steps"),
        "psnr": mean("psnr") if all(b.get("psnr") is not None for b in whole) else math.nan,
        "evaluations": mean("evaluations"),
        "seconds": mean("seconds"),
    }


def table(found: Cells) -> str:
    """One table for each task, in Markdown."""
    lines = []
    for task in TASKS:
        own = [(m.name, found[task.name, m.name]) for m in METHODS if (task.name, m.name) in found]
        title = f"## {task.name}: {task.asks or 'a scene measured with noise'}"
        rows = [[name, *_columns(cell)] for name, cell in own]
        lines += [title, "", *markdown.table(COLUMNS, rows), ""] if own else []
    return "\n".join(lines)


def _columns(cell: Mapping[str, float]) -> list[str]:
    if not cell:
        return ["cannot use this energy", *[""] * (len(COLUMNS) - 2)]
    return [
        *(f"{cell[part]:.2f}" for part in ("satisfied", "clean", "both")),
        "" if math.isnan(cell["psnr"]) else f"{cell['psnr']:.1f}",
        f"{cell['diversity']:.3f}",
        *(f"{cell[part]:.0f}" for part in ("steps", "evaluations")),
        f"{cell['seconds']:.2f}",
        f"{cell['images']:.0f}",
    ]


def summary(found: Cells) -> list[str]:
    """The best published method and ours in each task that all have done, in Markdown.

    Few images rank nothing in one task, but the mean over tasks has all their images. Restorations
    are left out of it: there ours has another start.
    """
    tasks = [task for task in TASKS if all((task.name, m.name) in found for m in METHODS)]
    pairs = {task: pair for task in tasks if (pair := _pair(found, task.name))}
    if sum(ours["images"] for _, _, ours in pairs.values()) < ENOUGH_IN_ALL:
        return []
    starts = {False: "noise", True: "the measurement"}
    rows = [
        [task.name, name, f"{best['both']:.2f}", f"{ours['both']:.2f}", starts[task.restores]]
        for task, (name, best, ours) in pairs.items()
    ]
    return [
        "## Satisfied and clean: the best published method and ours",
        "",
        *markdown.table(("task", "best of the published", "it", "ours", "ours starts from"), rows),
        "",
        *_mean([pair for task, pair in pairs.items() if not task.restores]),
        *(STARTS.splitlines() if any(task.restores for task in pairs) else []),
        "",
    ]


def _mean(pairs: Sequence[tuple[str, Mapping[str, float], Mapping[str, float]]]) -> list[str]:
    """Mean error over tasks that all methods start alike, in one line."""
    if not pairs:
        return []
    cells = [cell for _, best, ours in pairs for cell in (best, ours)]
    theirs, own = (1 - statistics.fmean(c["both"] for c in cells[side::2]) for side in (0, 1))
    variance = sum(c["both"] * (1 - c["both"]) / c["images"] for c in cells)
    return [
        f"Mean error over the {len(pairs)} tasks that every method starts from noise: {theirs:.3f} "
        f"for the best published method of each, {own:.3f} for ours; the difference is "
        f"{theirs - own:.3f}, its standard error {variance**0.5 / len(pairs):.3f}.",
        "",
    ]


def _pair(found: Cells, task: str) -> tuple[str, Mapping[str, float], Mapping[str, float]] | None:
    """Name and cell of the best published method of a task, and our cell."""
    own = {m.name: found[task, m.name] for m in METHODS if found[task, m.name]}
    published = [name for name in own if name not in (OURS, UNGUIDED)]
    if OURS not in own or not published:
        return None
    best = max(published, key=lambda name: own[name]["both"])
    return best, own[best], own[OURS]


def caution(found: Cells) -> list[str]:
    """A caution where cells have few images."""
    least = min((int(cell["images"]) for cell in found.values() if cell), default=ENOUGH)
    if least >= ENOUGH:
        return []
    return [
        f"**A first look**: some cells have {least} images, and shares of so few have a standard",
        f"error of up to {0.5 / least**0.5:.2f}: they rank no method. `make bench-quality`",
        "continues from here.",
        "",
    ]


def page(found: Cells, budget: int, weights: str, more: Sequence[str] = ()) -> str:
    """The whole page in Markdown.

    Arguments:
        found: the cells.
        budget: evaluations for each image.
        weights: fingerprint of Shapes.
        more: lines of other sections.
    """
    parts = [
        INTRODUCTION.format(budget=budget, weights=weights),
        "",
        *caution(found),
        *summary(found),
        table(found),
        "## Methods",
        "",
        SIZES,
        "",
        *(f"* {method.name}: {method.note}" for method in METHODS if method.note),
        "",
        *more,
    ]
    return "\n".join(parts)


def plot(found: Cells, path: Path) -> None:
    """Satisfied against clean, one panel a task."""
    from matplotlib.figure import Figure

    tasks = [task for task in TASKS if any(name == task.name for name, _ in found)]
    rows = max(1, -(-len(tasks) // 4))
    figure = Figure(figsize=(3.6 * 4, 3.6 * rows), layout="constrained")
    axes = list(figure.subplots(rows, 4, squeeze=False).flat)
    for empty in axes[len(tasks) :]:
        empty.set_axis_off()
    for axis, task in zip(axes, tasks, strict=False):
        for index, method in enumerate(METHODS):
            cell = found.get((task.name, method.name))
            marker = "*" if method.name == OURS else "o"
            style = {"marker": marker, "markersize": 11, "linestyle": "", "color": f"C{index}"}
            if cell:
                axis.plot(cell["clean"], cell["satisfied"], label=method.name, **style)
        limits = (-0.05, 1.05)
        axis.set(title=task.name, xlabel="clean", ylabel="satisfied", xlim=limits, ylim=limits)
        axis.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=7, loc="lower left")
    figure.savefig(path, dpi=90)
