"""Distance of the mean colour from a target."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...guidance_core.energies.color import MeanColor
from ..inputs.energy import closing_inputs, finished, normal
from ..inputs.sockets import Energy, schema


class EnergyColor(io.ComfyNode):
    """Distance of the mean colour from a target."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        tip = "{} of the wanted mean colour, 0 to 1. With a mask, of the masked area."
        limits = {"min": 0.0, "max": 1.0, "step": 0.01}
        return schema(
            "EGEnergyColor",
            display_name="Energy: Mean Color",
            category="guidance/energies",
            description="Low where the mean colour of the picture is the wanted one. No network; "
            "with the decoder 'rgb' no VAE either.",
            search_aliases=("colour", "color guidance", "tint"),
            inputs=[
                io.Float.Input("red", default=0.8, tooltip=tip.format("Red share"), **limits),
                io.Float.Input("green", default=0.2, tooltip=tip.format("Green share"), **limits),
                io.Float.Input("blue", default=0.2, tooltip=tip.format("Blue share"), **limits),
                io.Float.Input(
                    "share",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="Part of the area that should have the colour: 1 tints all of it, 0.1 "
                    "asks for something of that colour where the picture tends to it most. The "
                    "usual colour guidance is 1.",
                ),
                *closing_inputs(),
            ],
            outputs=[
                Energy.Output(display_name="energy", tooltip="For a rule or the guided sampler.")
            ],
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
