"""Nodes that show what guidance did."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from comfy_api.latest import io, ui

from ..guidance_core.heatmaps import heatmaps
from .host import viewer
from .sockets import Reference, Tokens, Trace, schema

QUANTITIES = {
    "energy": "energy",
    "grad_norm": "gradient norm",
    "push": "push (RMS)",
}
DPI = 100
# Width of one map in pixels, and how much of it lies over the picture.
TILE, OVERLAY = 192, 0.6


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
    return pixels(canvas)


def pixels(canvas: Any) -> torch.Tensor:
    """What was drawn, shape (1, height, width, 3), values in [0, 1]."""
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


def sheet(maps: torch.Tensor, words: list[str], sigmas: list[float], picture: Any) -> torch.Tensor:
    """Maps over a picture, a row a word and a column a noise level: (1, height, width, 3).

    Arguments:
        maps: shape (levels, words, H, W), values in [0, 1].
        words: titles of the rows.
        sigmas: titles of the columns.
        picture: shape (H, W, 3), values in [0, 1], or None.
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
        if picture is not None:
            axis.imshow(picture.numpy())
        alpha = 1.0 if picture is None else OVERLAY
        axis.imshow(maps[column, row].numpy(), cmap="inferno", alpha=alpha, vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        if row == 0:
            axis.set_title(f"sigma {sigmas[column]:.3g}", fontsize="small")
        if column == 0:
            axis.set_ylabel(words[row])
    return pixels(canvas)


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


class ShowAttention(io.ComfyNode):
    """Where a source picture looks at each word."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGShowAttention",
            display_name="Show Attention",
            category="guidance/diagnostics",
            description="Draws the attention to words of the prompt over the picture, from the "
            "first recorded noise level to the last.",
            search_aliases=("attention map", "heat map", "daam"),
            is_output_node=True,
            inputs=[
                Reference.Input("reference", tooltip="From Record Reference, with maps."),
                Tokens.Input("tokens", tooltip="The words to show, from Prompt Words."),
                io.Int.Input(
                    "columns",
                    default=5,
                    min=1,
                    max=100,
                    tooltip="How many noise levels to show, evenly spread over the run. Layout "
                    "forms in the first: Self-Guidance and Attend-and-Excite act there.",
                ),
                io.Image.Input(
                    "image", optional=True, tooltip="The source picture, to draw the maps over."
                ),
            ],
            outputs=[io.Image.Output(tooltip="A sheet a picture: words down, noise levels across")],
        )

    @classmethod
    def execute(cls, reference: Any, tokens: Any, columns: int, image: Any = None) -> io.NodeOutput:
        """Draw the maps."""
        recorded = sorted(reference.captures, reverse=True)
        places = np.linspace(0, len(recorded) - 1, min(columns, len(recorded))).round().astype(int)
        sigmas = [recorded[place] for place in places]
        size = tuple(8 * side for side in reference.size) if image is None else image.shape[1:3]
        maps = torch.stack([heatmaps(reference, tokens, sigma, tuple(size)) for sigma in sigmas])
        if image is not None and len(image) != maps.shape[1]:
            raise ValueError(
                f"the reference is of {maps.shape[1]} pictures, image has {len(image)}: connect "
                "the pictures that were recorded"
            )
        words = [word.text for word in tokens]
        pictures = [None] * maps.shape[1] if image is None else image.cpu()
        sheets = [sheet(maps[:, i], words, sigmas, picture) for i, picture in enumerate(pictures)]
        images = torch.cat(sheets)
        shown = ui.PreviewImage(images, cls=cls).as_dict()
        if viewer.asked():
            shown |= viewer.handed(reference, tokens, image)
        return io.NodeOutput(images, ui=shown)


NODES = [PlotTrace, ShowAttention]
