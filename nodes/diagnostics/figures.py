"""Figures that diagnostics draw."""

from __future__ import annotations

from textwrap import shorten
from typing import Any

import numpy as np
import torch

from ..host.browser.legend import text
from .curves import SUM, Curve, curves

# What is drawn, by the name of its title among the messages of the monitor.
QUANTITIES = {"energy": "energy", "grad_norm": "gradient", "push": "push"}
# Paper, ink, lines, and the colours of curves: those of the monitor.
THEMES = {"dark": ("#222222", "#dddddd", "#4e4e4e"), "light": ("#ffffff", "#222222", "#cccccc")}
COLORS = ("#e69f00", "#56b4e9", "#1aa57c", "#cc79a7", "#d55e00", "#3d85c6", "#b8a000", "#8f8f8f")

DPI = 100
LETTER = 9  # pixels of one in the legend, with the room before it
# Width of one map in pixels, its opacity over the image, what is between maps, and the height and
# size of letters of what stands above them.
TILE, OVERLAY, GAP, BAND, LETTERS = 192, 0.6, 6, 34, 15


def drawn(
    rows: list[dict[str, Any]], width: int, height: int, theme: str = "light"
) -> torch.Tensor:
    """The trace as an image, shape (1, height, width, 3), values in [0, 1]."""
    # Half a second to import: only those who plot pay it. No pyplot, which keeps global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    paper, ink, _ = THEMES[theme]
    figure = Figure(
        figsize=(width / DPI, height / DPI), dpi=DPI, layout="constrained", facecolor=paper
    )
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(QUANTITIES), 1, sharex=True)
    found = curves(rows)
    for axis, (name, title) in zip(axes, QUANTITIES.items(), strict=True):
        for curve in found[name]:
            _draw(axis, curve, ink, width // LETTER)
        _dress(axis, text(title), theme)
    axes[-1].set_ylim(bottom=0)  # else rounding looks like a course
    figure.legend(
        handles=axes[0].lines,
        loc="outside upper left",
        fontsize="small",
        frameon=False,
        labelcolor=ink,
    )
    axes[-1].set(xscale="log")
    axes[-1].set_xlabel("noise level sigma (the run goes from left to right)", color=ink)
    axes[-1].invert_xaxis()
    return pixels(canvas)


def pixels(canvas: Any) -> torch.Tensor:
    """The drawing as an image, shape (1, height, width, 3), values in [0, 1]."""
    canvas.draw()
    values = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return torch.from_numpy(values).float().div(255).unsqueeze(0)


def _draw(axis: Any, curve: Curve, ink: str, letters: int) -> None:
    """Mean of the batch as a line, its spread as a band; named in so many letters."""
    name = shorten(curve.label, max(letters - len(curve.reached), 8), placeholder=" ...")
    color = ink if curve.color == SUM else COLORS[curve.color % len(COLORS)]
    sigma = [level for level, _ in curve.points]
    batches = np.array([values for _, values in curve.points])
    axis.plot(sigma, batches.mean(1), marker=".", label=name + curve.reached, color=color)
    axis.fill_between(sigma, batches.min(1), batches.max(1), color=color, alpha=0.2)


def _dress(axis: Any, title: str, theme: str) -> None:
    paper, ink, faint = THEMES[theme]
    axis.set_facecolor(paper)
    axis.set_title(title, loc="left", fontsize="medium", color=ink)
    axis.tick_params(colors=ink, which="both")
    axis.grid(color=faint, linewidth=0.6)
    for spine in axis.spines.values():
        spine.set_color(faint)


def sheet(maps: torch.Tensor, words: list[str], sigmas: list[float], image: Any) -> torch.Tensor:
    """Maps over an image, one row per word and one column per noise level: (1, height, width, 3).

    Nothing lies between the maps but what they are: the noise levels above the columns, each word
    above its row.

    Arguments:
        maps: shape (levels, words, H, W), values in [0, 1].
        words: titles of the rows.
        sigmas: titles of the columns.
        image: shape (H, W, 3), values in [0, 1], or None.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    levels, rows, height, width = maps.shape
    tall = round(TILE * height / width)
    wide, high = levels * (TILE + GAP) + GAP, BAND + rows * (BAND + tall)
    paper, ink, _ = THEMES["dark"]
    figure = Figure(figsize=(wide / DPI, (high + GAP) / DPI), dpi=DPI, facecolor=paper)
    canvas = FigureCanvasAgg(figure)
    title: dict[str, Any] = {"va": "center", "color": ink}

    def put(x: float, y: float, text: str, **how: Any) -> None:
        figure.text(x / wide, 1 - y / (high + GAP), text, **title, **how)

    for column, sigma in enumerate(sigmas):
        middle = GAP + column * (TILE + GAP) + TILE / 2
        put(middle, BAND / 2, f"\u03c3 {sigma:.3g}", ha="center", fontsize=LETTERS)
    for row, word in enumerate(words):
        top = BAND + row * (BAND + tall)
        put(GAP, top + BAND / 2, word, ha="left", fontsize=LETTERS, fontweight="bold")
        for column in range(levels):
            left = GAP + column * (TILE + GAP)
            box = (left / wide, 1 - (top + BAND + tall) / (high + GAP))
            axis = figure.add_axes((*box, TILE / wide, tall / (high + GAP)))
            _tile(axis, maps[column, row], image)
    return pixels(canvas)


def _tile(axis: Any, weights: torch.Tensor, image: Any) -> None:
    """One map, over the image if there is one."""
    axis.set_axis_off()
    if image is not None:
        axis.imshow(image.numpy(), aspect="auto")
    alpha = 1.0 if image is None else OVERLAY
    shade: dict[str, Any] = {"cmap": "inferno", "alpha": alpha, "vmin": 0, "vmax": 1}
    axis.imshow(weights.numpy(), aspect="auto", **shade)
