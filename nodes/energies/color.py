"""Gives the image a mean colour."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...guidance_core.energies.color import MeanColor
from ..inputs.energy import OUTPUTS, closing_inputs, finished, normal
from ..inputs.sockets import schema


class EnergyColor(io.ComfyNode):
    """Gives the image a mean colour."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        tip = (
            "{} part of the wanted colour, from 0 (none) to 1 (full). With a mask, the "
            "colour of the masked area."
        )
        limits = {"min": 0.0, "max": 1.0, "step": 0.01}
        return schema(
            "EGEnergyColor",
            display_name="Energy: Mean Color",
            category="guidance/what",
            description="Gives the image, or a masked area, a mean colour. Needs no network; "
            "with the decoder 'rgb' no VAE either.",
            search_aliases=("colour", "color guidance", "tint"),
            inputs=[
                io.Float.Input("red", default=0.8, tooltip=tip.format("Red"), **limits),
                io.Float.Input("green", default=0.2, tooltip=tip.format("Green"), **limits),
                io.Float.Input("blue", default=0.2, tooltip=tip.format("Blue"), **limits),
                io.Float.Input(
                    "share",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="Fraction of the area that should have the colour, 0.01 to 1. 1 "
                    "tints all of it; lower asks for a patch of that size, where the image "
                    "comes nearest to the colour.",
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls,
        red: float,
        green: float,
        blue: float,
        share: float,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        target = normal(torch.tensor([red, green, blue]))
        return finished(MeanColor(target, share), weight, mask)
