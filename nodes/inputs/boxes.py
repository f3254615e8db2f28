"""Lines of text with a label and a box each, as the editor writes them."""

from __future__ import annotations

import torch


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
