"""Figures that diagnostics draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

QUANTITIES = {
    "energy": "energy",
    "grad_norm": "gradient norm",
    "push": "push (RMS)",
}


DPI = 100
# Width of one map in pixels, and its opacity over the image.
TILE, OVERLAY = 192, 0.6


def drawn(rows: list[dict[str, Any]], width: int, height: int) -> torch.Tensor:
    """The trace as an image, shape (1, height, width, 3), values in [0, 1]."""
    # Half a second to import: only those who plot pay it. No pyplot, which keeps global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(QUANTITIES), 1, sharex=True)
    for axis, (name, title) in zip(axes, QUANTITIES.items(), strict=True):
        for rule in dict.fromkeys(row["rule"] for row in rows):
            _curve(axis, [row for row in rows if row["rule"] == rule], name)
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
    axes[0].legend(loc="best")
    axes[-1].set(xscale="log", xlabel="noise level sigma (the run goes from left to right)")
    axes[-1].invert_xaxis()
    return pixels(canvas)


def pixels(canvas: Any) -> torch.Tensor:
    """The drawing as an image, shape (1, height, width, 3), values in [0, 1]."""
    canvas.draw()
    values = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return torch.from_numpy(values).float().div(255).unsqueeze(0)


def _curve(axis: Any, rows: list[dict[str, Any]], name: str) -> None:
    """Mean of the batch as a line, its spread as a band."""
    sigma = [row["sigma"] for row in rows]
    batches = np.array([row[name] for row in rows])
    (line,) = axis.plot(sigma, batches.mean(1), marker=".", label=rows[0]["rule"])
    band = {"color": line.get_color(), "alpha": 0.2}
    axis.fill_between(sigma, batches.min(1), batches.max(1), **band)


def sheet(maps: torch.Tensor, words: list[str], sigmas: list[float], image: Any) -> torch.Tensor:
    """Maps over an image, one row per word and one column per noise level: (1, height, width, 3).

    Arguments:
        maps: shape (levels, words, H, W), values in [0, 1].
        words: titles of the rows.
        sigmas: titles of the columns.
        image: shape (H, W, 3), values in [0, 1], or None.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    levels, rows, height, width = maps.shape
    inches = (TILE * levels / DPI, TILE * (rows * height / width + 0.25) / DPI)
    figure = Figure(figsize=inches, dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(rows, levels, squeeze=False)
    for row, column in np.ndindex(rows, levels):
        axis = axes[row][column]
        if image is not None:
            axis.imshow(image.numpy())
        alpha = 1.0 if image is None else OVERLAY
        axis.imshow(maps[column, row].numpy(), cmap="inferno", alpha=alpha, vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        if row == 0:
            axis.set_title(f"sigma {sigmas[column]:.3g}", fontsize="small")
        if column == 0:
            axis.set_ylabel(words[row])
    return pixels(canvas)
