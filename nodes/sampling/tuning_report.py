"""The result of a search, as JSON and as a plot."""

from __future__ import annotations

import math
from typing import Any

from ...guidance_core.procedures import search_spaces
from ...guidance_core.procedures.beam_search import Search
from ..diagnostics.figures import DPI, pixels
from .candidates import Ranked

SHOWN = 20  # settings in the report
# The node of the rule that each search tunes.
NODES = {"strength": "EGRuleForward", "unified": "EGRuleUnified"}


def report_of(kind: str, search: Search, ranked: Ranked, file: str) -> dict[str, Any]:
    """Return the result as JSON has it; the metric is an energy, lower is better."""
    rows = [
        {**search.settings_of(point), "metric": -score if math.isfinite(score) else None}
        for point, score in ranked
    ]
    best = search.settings_of(ranked[0][0])
    return {
        "search": kind,
        "settings": best,
        "metric": rows[0]["metric"],
        "node": {"class_type": NODES[kind], "inputs": search_spaces.widgets(kind, best)},
        "tried": len(rows),
        "file": file,
        "best": rows[:SHOWN],
    }


def plot_of(search: Search, ranked: Ranked) -> Any:
    """Return a plot of the metric against each setting, the best one marked: (1, H, W, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [coordinate.name for coordinate in search.coordinates]
    figure = Figure(figsize=(3.0 * len(names), 3.0), dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    finite = [(point, -score) for point, score in ranked if math.isfinite(score)]
    for index, (axis, name) in enumerate(
        zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True)
    ):
        axis.plot([p[index] for p, _ in finite], [value for _, value in finite], "o", alpha=0.5)
        axis.plot([p[index] for p, _ in finite[:1]], [value for _, value in finite[:1]], "*", ms=14)
        axis.set(xscale="log", xlabel=name)
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel("metric, lower is better")
    return pixels(canvas)
