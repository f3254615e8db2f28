"""The section of docs/benchmark.md about few steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from bench import command, markdown, records
from bench.few_steps.cells import SETTINGS, STEPS, TASKS, Setting, repeats, weights
from bench.records import Row

RESULTS = command.RESULTS / "few_steps.json"
HEAD = (
    "steps",
    "rule",
    "decoder",
    "until",
    "recurrences",
    "satisfied",
    "clean",
    "diversity",
    "images",
)
INTRODUCTION = [
    "## Few steps",
    "",
    "Written by `python -m bench.few_steps`: Shapes with its LoRA for few steps",
    "(`assets/shapes/turbo.safetensors`), sampler lcm, scheduler sgm_uniform, CFG 1. Percentages ±",
    "standard error. No seed had a part in choosing a setting, but that Forward 0.2 with 5",
    "recurrences was added after the row of 0.3 was seen. Labels and the sentence are asked",
    'with an empty prompt, the position is that of "a big red circle" within 12 pixels of',
    "(0.3, 0.7). Rule and recurrences act from the start until the given fraction of the noise",
    "schedule: 0.7 is before the last of 4 steps. Diversity: mean RMS distance between images. The",
    "fitted decoder is the one that comes with Shapes, fitted to estimates without the LoRA.",
    "",
]


def read() -> list[Row]:
    """Finished batches of today's weights and settings."""
    known = [
        {"task": task.name, **asdict(setting), "weights": weights(task, setting)}
        for task in TASKS
        for setting in SETTINGS[task.name]
    ]
    return records.read(RESULTS, known)


def section(rows: Sequence[Row]) -> list[str]:
    """Lines of Markdown; none without results."""
    lines: list[str] = []
    for task in TASKS:
        cells = [
            (steps, setting, _of(rows, task=task.name, steps=steps, **asdict(setting)))
            for steps in STEPS
            for setting in SETTINGS[task.name]
        ]
        table = [_line(*cell) for cell in cells if cell[2]]
        title = f"### {task.name}: {task.asks}, in few steps"
        lines += [title, "", *markdown.table(HEAD, table), ""] if table else []
    return [*INTRODUCTION, *lines] if lines else []


def _of(rows: Sequence[Row], **cell: Any) -> list[Row]:
    return [row for row in rows if cell.items() <= row.items()]


def _line(steps: int, setting: Setting, rows: Sequence[Row]) -> list[str]:
    shares = [markdown.share([flag for row in rows for flag in row[part]]) for part in PARTS]
    diversity = f"{fmean(row['diversity'] for row in rows):.3f}"
    count = sum(row["batch"] for row in rows)
    return [str(steps), *_named(setting, steps), *shares, diversity, str(count)]


PARTS = ("satisfied", "clean")


def _named(setting: Setting, steps: int) -> list[str]:
    if not setting.rule:
        return ["unguided" + ", without the LoRA" * (not setting.turbo), "", "", ""]
    rule = f"{setting.rule} {setting.strength:g}" + ", without the LoRA" * (not setting.turbo)
    return [rule, setting.decoder, f"{setting.until:g}", str(repeats(setting.recurrences, steps))]
