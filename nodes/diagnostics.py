"""Nodes that show what guidance did."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from comfy_api.latest import io, ui

from .sockets import Trace, schema

QUANTITIES = {
    "energy": "energy",
    "grad_norm": "gradient norm",
    "push": "push (RMS)",
}
DPI = 100


def drawn(rows: list[dict[str, Any]], width: int, height: int) -> torch.Tensor:
    """The trace as a picture, shape (1, height, width, 3), values in [0, 1]."""
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
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return torch.from_numpy(pixels).float().div(255).unsqueeze(0)


def _curve(axis: Any, rows: list[dict[str, Any]], name: str) -> None:
    """Mean of the batch as a line, its spread as a band."""
    sigma = [row["sigma"] for row in rows]
    batches = np.array([row[name] for row in rows])
    (line,) = axis.plot(sigma, batches.mean(1), marker=".", label=rows[0]["rule"])
    band = {"color": line.get_color(), "alpha": 0.2}
    axis.fill_between(sigma, batches.min(1), batches.max(1), **band)


class PlotTrace(io.ComfyNode):
    """Energy, gradient and push against the noise level."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        size = {"default": 640, "min": 256, "max": 4096, "step": 16}
        return schema(
            "EGPlotTrace",
            display_name="Plot Guidance Trace",
            category="guidance/diagnostics",
            description="Draws the energy, its gradient and the push of every sampling step.",
            search_aliases=("guidance curve", "energy plot", "diagnostics"),
            is_output_node=True,
            inputs=[
                Trace.Input("trace", tooltip="From KSampler (Guided) or Apply Guidance."),
                io.Int.Input("width", tooltip="Width of the picture in pixels.", **size),
                io.Int.Input("height", tooltip="Height of the picture in pixels.", **size),
                io.Latent.Input(
                    "after",
                    optional=True,
                    tooltip="The sampled latent, so that the plot waits for the sampler. Needed "
                    "with a trace of Apply Guidance, which is filled only while another node "
                    "samples.",
                ),
            ],
            outputs=[io.Image.Output(tooltip="The plot.")],
        )

    @classmethod
    def execute(cls, trace: Any, width: int, height: int, after: Any = None) -> io.NodeOutput:
        """Draw the trace."""
        rows = trace.to_dict()["rows"]
        if not rows:
            raise ValueError(
                "trace must hold at least one guided step, got none: connect the sampled latent "
                "to 'after' so that the plot waits for the sampler, and check that strength and "
                "window let guidance act"
            )
        image = drawn(rows, width, height)
        return io.NodeOutput(image, ui=ui.PreviewImage(image, cls=cls))


NODES = [PlotTrace]
