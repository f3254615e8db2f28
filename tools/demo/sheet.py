"""The contact sheet: a block for each task, a row for each seed, a column for each setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tools.demo import plan

TILE, GAP, HEADING, LEFT = 128, 8, 44, 84
PAPER, INK, FAINT, HIT = (250, 250, 250), (30, 30, 30), (205, 205, 205), (40, 160, 70)

# Images (N, 3, 128, 128) of each column, and whether each has what was asked for.
Block = Mapping[str, tuple[Tensor, Sequence[bool]]]


def write(path: Path, blocks: Mapping[plan.Task, Block], rows: Sequence[str]) -> None:
    """Draw the sheet; a green frame marks an image in which the oracle finds the target."""
    columns = list(next(iter(blocks.values())))
    height = HEADING + len(rows) * (TILE + GAP) + GAP
    sheet = Image.new("RGB", (LEFT + len(columns) * (TILE + GAP), height * len(blocks)), PAPER)
    for top, (task, block) in zip(
        range(0, height * len(blocks), height), blocks.items(), strict=True
    ):
        _block(sheet, top, task, block, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _block(
    sheet: Image.Image, top: int, task: plan.Task, block: Block, rows: Sequence[str]
) -> None:
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, top + 6), f"{task.name}: {task.target}", INK, ImageFont.load_default(15))
    for row, label in enumerate(rows):
        middle = top + HEADING + row * (TILE + GAP) + TILE // 2
        draw.text((GAP, middle - 6), label, INK, ImageFont.load_default(12))
    for column, (name, (images, hits)) in enumerate(block.items()):
        left = LEFT + column * (TILE + GAP)
        title = name.replace("forward+backward+", "+ ")
        draw.text((left, top + 27), title, INK, ImageFont.load_default(12))
        for row in range(len(rows)):
            place = (left, top + HEADING + row * (TILE + GAP))
            sheet.paste(_image(images[row]), place)
            frame = (place[0] - 2, place[1] - 2, place[0] + TILE + 1, place[1] + TILE + 1)
            draw.rectangle(frame, outline=HIT if hits[row] else FAINT, width=2)


def _image(image: Tensor) -> Image.Image:
    pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels))
