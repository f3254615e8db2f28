"""Removes grain from the image."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...guidance_core.energies.smoothness import Smoothness
from ..inputs.energy import (
    OUTPUTS,
    closing_inputs,
    finished,
)
from ..inputs.sockets import schema


class EnergySmoothness(io.ComfyNode):
    """Removes grain from the image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergySmoothness",
            display_name="Energy: Smoothness",
            category="guidance/restore",
            description="Removes grain from the image (total variation). Best in a sum, "
            "beside an energy whose gradient adds grain. Needs no network.",
            search_aliases=("total variation", "tv loss", "denoise"),
            inputs=[
                io.Boolean.Input(
                    "keep_edges",
                    default=True,
                    tooltip="On: edges stay sharp (absolute differences of neighbours). Off: "
                    "strong edges are softened most (squared differences).",
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls, keep_edges: bool, weight: float, mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """Build the energy."""
        return finished(Smoothness(keep_edges), weight, mask)
