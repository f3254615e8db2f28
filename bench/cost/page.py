"""The table of operations of docs/cost.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import markdown

START, END = "<!-- operations -->", "<!-- end of operations -->"
TITLES = {
    "sd15-clip": "SD 1.5, CLIP",
    "sdxl-clip": "SDXL, CLIP",
    "sd15-resnet": "SD 1.5, ResNet-50",
    "sdxl-resnet": "SDXL, ResNet-50",
}


def table(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Ratios to a plain step, a row for each kind of step; and memory, where it was counted."""
    titles = [TITLES[case["name"]] for case in cases]
    kinds = dict.fromkeys(kind for case in cases for kind in case["operations"])
    memories = dict.fromkeys(kind for case in cases for kind in case["live_mb"])
    operations = [[kind, *(_ratio(case, kind) for case in cases)] for kind in kinds]
    peaks = [[kind, *(_peak(case, kind) for case in cases)] for kind in memories]
    wholes = [[kind, *(_whole(case, kind) for case in cases)] for kind in memories]
    return [
        *markdown.table(["operations, times a plain step", *titles], operations),
        "",
        *markdown.table(["live tensors beside the weights, times plain", *titles], peaks),
        "",
        *markdown.table(["with the weights, times plain", *titles], wholes),
    ]


def _ratio(case: Mapping[str, Any], kind: str) -> str:
    found = case["operations"].get(kind)
    if kind == "plain":
        return f"1 ({case['plain_tflop']:.2f} TFLOP)"
    return "" if found is None else f"{found:.2f}"


def _peak(case: Mapping[str, Any], kind: str) -> str:
    found, plain = case["live_mb"].get(kind), case["live_mb"].get("plain")
    if found is None or plain is None:
        return ""
    return f"1 ({plain} MB at 32 bits)" if kind == "plain" else f"{found / plain:.2f}"


def _whole(case: Mapping[str, Any], kind: str) -> str:
    """Weights and live tensors; of guided steps with those of the decoder and guide network."""
    live, weights = case["live_mb"], case.get("weights_mb")
    if weights is None or kind not in live:
        return ""
    plain = weights["plain"] + live["plain"]
    if kind == "plain":
        return f"1 ({plain} MB at 32 bits)"
    return f"{(weights['guided'] + live[kind]) / plain:.2f}"


def write(path: Path, cases: Sequence[Mapping[str, Any]]) -> None:
    """Write the table between the marks of the page."""
    before, rest = path.read_text(encoding="utf-8").split(START)
    lines = ["", *table(cases), ""]
    text = "\n".join([before + START, *lines, END + rest.split(END)[1]])
    path.write_text(text, encoding="utf-8")
