"""The page of the quality benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.quality.methods import METHODS
from bench.quality.tasks import TASKS

COLUMNS = (
    *("satisfied", "clean", "both", "PSNR", "diversity", "steps"),
    *("model evaluations", "s/picture", "pictures"),
)
Cells = Mapping[tuple[str, str], Mapping[str, float]]


def cells(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, float]]:
    """Means over all batches of a task and a method; a batch that diverged satisfies nothing.

    A method that cannot use a task's energy has an empty cell.
    """
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["task"], row["method"]), []).append(row)
    return {
        name: {} if "refused" in batches[0] else _cell(batches) for name, batches in found.items()
    }


def _cell(batches: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    pictures = sum(batch["batch"] for batch in batches)
    whole = [batch for batch in batches if "diverged" not in batch]
    mean = lambda name: (
        sum(b[name] * b["batch"] for b in whole) / max(1, sum(b["batch"] for b in whole))
    )
    return {
        "pictures": pictures,
        "satisfied": sum(sum(b["satisfied"]) for b in whole) / pictures,
        "clean": sum(sum(b["clean"]) for b in whole) / pictures,
        "both": sum(s and c for b in whole for s, c in zip(b["satisfied"], b["clean"], strict=True))
        / pictures,
        "diversity": mean("diversity"),
        "steps": mean("steps"),
        "psnr": mean("psnr") if all(b.get("psnr") is not None for b in whole) else math.nan,
        "evaluations": mean("evaluations"),
        "seconds": mean("seconds"),
    }


def table(found: Cells) -> str:
    """One table a task, in Markdown."""
    lines = []
    for task in TASKS:
        own = [(m.name, found[task.name, m.name]) for m in METHODS if (task.name, m.name) in found]
        if not own:
            continue
        lines += [
            f"## {task.name}: {task.asks or 'a scene seen with noise'}",
            "",
            f"| method | {' | '.join(COLUMNS)} |",
            "|---" * (1 + len(COLUMNS)) + "|",
        ]
        for name, cell in own:
            if not cell:
                lines.append(f"| {name} | cannot use this energy |" + " |" * (len(COLUMNS) - 1))
                continue
            shares = " | ".join(f"{cell[part]:.2f}" for part in ("satisfied", "clean", "both"))
            costs = " | ".join(f"{cell[part]:.0f}" for part in ("steps", "evaluations"))
            costs += f" | {cell['seconds']:.2f} | {cell['pictures']:.0f}"
            psnr = "" if math.isnan(cell["psnr"]) else f"{cell['psnr']:.1f}"
            lines.append(f"| {name} | {shares} | {psnr} | {cell['diversity']:.3f} | {costs} |")
        lines.append("")
    return "\n".join(lines)


def page(found: Cells, steps: int, weights: str) -> str:
    """The whole page in Markdown."""
    notes = [f"* {method.name}: {method.note}" for method in METHODS if method.note]
    lines = [
        "# Quality of guidance on Shapes",
        "",
        f"Written by `make bench-quality`: {steps} steps, the empty prompt, the same seeds for "
        f"every method, weights {weights}.",
        "The oracle judges from pixels. satisfied: a whole object is what was asked, or every true "
        "one is restored at its place;",
        "clean: one or two whole objects and nothing else; both: satisfied and clean; diversity: "
        "mean RMS distance between the",
        "pictures of a batch; model evaluations are those of one picture, at CFG 1. The published "
        "methods were made for 100 to",
        "1000 steps and their sizes tuned to each task; here they have the sizes named below, and "
        "the number of steps above.",
        "",
        "![Satisfied against clean](benchmark.png)",
        "",
        table(found),
        "## Methods",
        "",
        *notes,
        "",
    ]
    return "\n".join(lines)


def plot(found: Cells, path: Path) -> None:
    """Satisfied against clean, one panel a task."""
    from matplotlib.figure import Figure

    tasks = [task for task in TASKS if any(name == task.name for name, _ in found)]
    figure = Figure(figsize=(4.2 * max(1, len(tasks)), 4.2), layout="constrained")
    for axis, task in zip(
        figure.subplots(1, max(1, len(tasks)), squeeze=False)[0], tasks, strict=False
    ):
        for index, method in enumerate(METHODS):
            cell = found.get((task.name, method.name))
            if cell:
                axis.plot(
                    cell["clean"],
                    cell["satisfied"],
                    marker="*" if method.name.startswith("ours") else "o",
                    markersize=11,
                    linestyle="",
                    color=f"C{index}",
                    label=method.name,
                )
        axis.set(title=task.name, xlabel="clean", ylabel="satisfied", xlim=(-0.05, 1.05))
        axis.set_ylim(-0.05, 1.05)
        axis.grid(alpha=0.3)
    axis.legend(fontsize=7, loc="lower left")
    figure.savefig(path, dpi=90)
