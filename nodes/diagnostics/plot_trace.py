"""Draws energy, gradient and step size against the noise level."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ..inputs.sockets import Trace, schema
from .figures import drawn

THEMES = ["auto", "dark", "light"]


class PlotTrace(io.ComfyNode):
    """Draws energy, gradient and step size against the noise level."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        size = {"default": 640, "min": 256, "max": 4096, "step": 16}
        return schema(
            "EGPlotTrace",
            display_name="Plot Guidance Trace",
            category="guidance/diagnose",
            description="Draws the energy, its gradient and the step size at every sampling step.",
            search_aliases=("guidance curve", "energy plot", "diagnostics"),
            is_output_node=True,
            inputs=[
                Trace.Input("trace", tooltip="From KSampler (Guided) or Apply Guidance."),
                io.Int.Input("width", tooltip="Width of the plot in pixels, 256 to 4096.", **size),
                io.Int.Input(
                    "height", tooltip="Height of the plot in pixels, 256 to 4096.", **size
                ),
                io.Latent.Input(
                    "after",
                    optional=True,
                    tooltip="The sampled latent, so that the plot waits for the sampler. "
                    "Needed with a trace of Apply Guidance, which another node fills during "
                    "sampling.",
                ),
                io.Combo.Input(
                    "theme",
                    options=THEMES,
                    default=THEMES[0],
                    optional=True,
                    tooltip="Colours of the plot: as those of the page in which the workflow is "
                    "run (auto), dark or light.",
                ),
            ],
            outputs=[io.Image.Output(tooltip="The plot.")],
        )

    @classmethod
    def execute(
        cls, trace: Any, width: int, height: int, after: Any = None, theme: str = THEMES[0]
    ) -> io.NodeOutput:
        """Draw the trace."""
        rows = trace.to_dict()["rows"]
        if not rows:
            raise ValueError(
                "trace must hold at least one guided step, got none: connect the sampled "
                "latent to 'after' so that the plot waits for the sampler, and check that "
                "strength and window let guidance act"
            )
        # The page puts its own theme in the place of auto; a workflow without a page has none.
        image = drawn(rows, width, height, "light" if theme == THEMES[0] else theme)
        return io.NodeOutput(image, ui=ui.PreviewImage(image, cls=cls))
