"""Total variation of the picture."""

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
    """Total variation of the picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergySmoothness",
            display_name="Energy: Smoothness",
            category="guidance/energies",
            description="Low where neighbouring pixels are alike (total variation). Combined with "
            "another energy, it keeps the gradient from adding grain. No network.",
            search_aliases=("total variation", "tv loss", "denoise"),
            inputs=[
                io.Boolean.Input(
                    "keep_edges",
                    default=True,
                    tooltip="Absolute differences, which leave edges sharp (Rudin, Osher, Fatemi); "
                    "off squares them, as CLIP-guided diffusion did.",
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
