"""Hand attention maps to the browser's viewer, as images in the host's temporary folder."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from comfy_api.latest import ui
from torch import Tensor

from ....guidance_core.attention.heatmaps import heatmaps_by_layer, layer_sizes
from ....guidance_core.attention.references import Reference
from ....guidance_core.attention.words import Word

KEY = "energy_guidance_attention"
PIXELS = 4_000_000  # of all maps of one image
LARGEST, SMALLEST = 64, 8  # pixels of the longer side of one map
FEW = 8  # noise levels that are worth smaller maps
IMAGES = 8  # of a batch
SIDE = 512  # pixels of the longer side of an image below the maps


def asked() -> bool:
    """Whether a browser waits for the output of the node that is being executed."""
    try:
        # Not at the top: the pack can be used without ComfyUI's server.
        from server import PromptServer
    except ImportError:
        return False
    server = getattr(PromptServer, "instance", None)
    return server is not None and server.client_id in server.sockets


def saved_maps(
    reference: Reference, words: tuple[Word, ...], images: Tensor | None
) -> dict[str, list[Any]]:
    """Save the maps of a reference, and say where: what a node adds to its ui output.

    Each image of the batch gets one file of all its maps, side by side, row by row: noise levels
    from the highest, in each the mean of all layers and then every layer, in each the words.

    Arguments:
        reference: holds maps of these words.
        words: whose maps.
        images: shape (B, H, W, 3), values in [0, 1], shown below the maps; or None.
    """
    layers = layer_sizes(reference, words)
    recorded = sorted(reference.recorded, reverse=True)
    (height, width), count = fitting(layers, len(words), len(recorded))
    chosen = np.linspace(0, len(recorded) - 1, count).round().astype(int)
    sigmas = [recorded[place] for place in chosen]
    levels = [
        heatmaps_by_layer(reference, words, sigma, (height, width))[:IMAGES] for sigma in sigmas
    ]
    sheets, columns = tiled(torch.stack(levels, 1).flatten(1, 3))
    below = None if images is None else _small(images[:IMAGES])
    facts = {
        "words": [word.text for word in words],
        "sigmas": sigmas,
        "layers": [list(size) for size in layers],
        "tile": [height, width],
        "columns": columns,
        "maps": _saved(sheets),
        "below": [] if below is None else _saved(below),
    }
    return {KEY: [facts]}


def fitting(layers: list[tuple[int, int]], words: int, levels: int) -> tuple[tuple[int, int], int]:
    """Height and width of a map, and how many noise levels, so that all are few enough pixels."""
    height, width = max(layers)
    shrink = max(1.0, max(height, width) / LARGEST)
    count = (1 + len(layers)) * words
    while True:
        size = tuple(max(1, round(side / shrink)) for side in (height, width))
        fit = PIXELS // (count * size[0] * size[1])
        if fit >= min(FEW, levels) or max(size) <= SMALLEST:
            return (size[0], size[1]), max(1, min(fit, levels))
        shrink *= 2


def tiled(maps: Tensor) -> tuple[Tensor, int]:
    """Maps (B, N, H, W) side by side, about as wide as high: (B, rows x H, columns x W, 3)."""
    count, height, width = maps.shape[1:]
    columns = min(count, math.ceil(math.sqrt(count * height / width)))
    rows = math.ceil(count / columns)
    missing = rows * columns - count
    full = torch.nn.functional.pad(maps, (0, 0, 0, 0, 0, missing))
    grid = full.unflatten(1, (rows, columns)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return grid.unsqueeze(-1).expand(-1, -1, -1, 3), columns


def _small(images: Tensor) -> Tensor:
    """Images (B, H, W, 3) with no side longer than SIDE."""
    factor = SIDE / max(images.shape[1:3])
    if factor >= 1:
        return images
    size = [max(1, round(factor * side)) for side in images.shape[1:3]]
    channels = images.float().movedim(-1, 1)
    small = torch.nn.functional.interpolate(channels, size, mode="bilinear", antialias=True)
    return small.movedim(1, -1).clamp(0, 1)


def _saved(images: Tensor) -> list[dict[str, str]]:
    return list(ui.PreviewImage(images).values)
