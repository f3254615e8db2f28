"""The table of docs/cost.md, and what gradients of different runs say of each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.gpu_check.cases import CASES, MODES
from bench.markdown import table as markdown

LIMIT = 1e-3  # relative difference of a gradient with and without offloading
BETWEEN = re.compile(r"(?<=<!-- gpu -->\n).*?(?=<!-- end of gpu -->)", re.DOTALL)
HEAD = (
    "model",
    "weights",
    "how",
    "plain step",
    "guided step",
    "ratio",
    "peak, plain",
    "peak, guided",
)
HEAD = (*HEAD, "gradient, offloaded", "gradient, other mode")
Row = dict[str, Any]


def file_of(case: str, mode: str) -> str:
    """Name of a job's file; its gradients lie beside it."""
    return f"{case}-{mode.replace(' ', '-')}.json"


def compare(rows: Sequence[Row], folder: Path) -> None:
    """Put into each row how far its gradients are from those of the first mode."""
    import torch

    for row in rows:
        for dtype, found in row.get("weights", {}).items():
            files = [
                (folder / file_of(row["case"], mode)).with_suffix(f".{dtype}.pt")
                for mode in (MODES[0], row["mode"])
            ]
            if row["mode"] != MODES[0] and all(file.exists() for file in files):
                first, own = (torch.load(file, weights_only=True) for file in files)
                norm = first.norm().clamp_min(1e-30)
                found["mode_difference"] = ((first - own).norm() / norm).item()


def table(rows: Sequence[Row]) -> list[str]:
    """Lines in Markdown: a row for each type of weights, or why there is none."""
    titles = {case.key: case.title for case in CASES}
    lines = []
    for row in rows:
        if "weights" not in row:
            blank = [""] * (len(HEAD) - 4)
            lines.append([titles[row["case"]], "", row["mode"], row["error"], *blank])
        for dtype, found in row.get("weights", {}).items():
            lines.append([titles[row["case"]], dtype, row["mode"], *_cells(row, found)])
    return markdown(HEAD, lines)


def _cells(row: Row, found: Row) -> list[str]:
    if "ratio" not in found:
        reason = found.get("error") or row.get("error", "not finished")
        return [reason, *[""] * (len(HEAD) - 4)]
    numbers = (f"{found['plain_s']:.3f} s", f"{found['guided_s']:.3f} s", f"{found['ratio']:.2f}")
    peaks = [
        f"{found[k]:.0f} MB" if k in found else "" for k in ("plain_peak_mb", "guided_peak_mb")
    ]
    apart = [_apart(found.get(key)) for key in ("offloaded_difference", "mode_difference")]
    if found.get("error"):
        apart[0] = found["error"]
    return [*numbers, *peaks, *apart]


def _apart(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0e}" if value <= LIMIT else f"**{value:.0e}** (limit {LIMIT:.0e})"


def write(file: Path, rows: Sequence[Row]) -> None:
    """Put the table, and what it was measured on, into a page between its marks."""
    about = next((row for row in rows if "device" in row), {})
    on = [f"{about[key]}" for key in ("device", "torch", "host") if key in about]
    words = f"Measured on {on[0]}, PyTorch {on[1]}, ComfyUI {on[2]}.\n\n" if on else ""
    text = file.read_text(encoding="utf-8")
    lines = words + "\n".join(table(rows)) + "\n"
    file.write_text(BETWEEN.sub(lambda _: lines, text), encoding="utf-8")
