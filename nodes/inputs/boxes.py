"""Lines of text with a label and a box each, as the editor writes them, and what lies below it."""

from __future__ import annotations

import torch
from comfy_api.latest import io


def backdrop_input() -> io.Input:
    """What an editor shows; optional, because workflows of earlier versions lack it."""
    return io.Image.Input(
        "image",
        optional=True,
        tooltip="Shown in the editor, and nothing else: for an image that is there before the run, "
        "as in image to image. Without it, the editor shows what follows the sampler.",
    )


def boxes_of(text: str) -> tuple[tuple[str, ...], torch.Tensor]:
    """Labels and boxes (N, 4) of lines such as 'dog: 0.1 0.3 0.5 0.9'."""
    labels, corners = [], []
    for line in (line for line in text.splitlines() if line.strip()):
        label, _, numbers = line.rpartition(":")
        try:
            box = [float(part) for part in numbers.replace(",", " ").split()]
        except ValueError:
            box = []
        if len(box) != 4 or not label.strip():
            raise ValueError(
                "boxes must have one object per line, 'label: left top right bottom' with "
                f"numbers from 0 to 1, got '{line.strip()}': write it as 'dog: 0.1 0.3 0.5 0.9'"
            )
        labels.append(label.strip())
        corners.append(box)
    if not labels:
        raise ValueError(
            "boxes is empty: write one object per line, such as 'dog: 0.1 0.3 0.5 0.9'"
        )
    return tuple(labels), torch.tensor(corners)
