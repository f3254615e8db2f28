"""Keeps the latent in the range that its decoder knows."""

from __future__ import annotations

from comfy_api.latest import io

from ...guidance_core.energies.range import Range
from ..inputs.energy import OUTPUTS, finished, weight_input
from ..inputs.sockets import schema


class EnergyRange(io.ComfyNode):
    """Keeps the latent in the range that its decoder knows."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyRange",
            display_name="Energy: Range",
            category="guidance/restore",
            description="Keeps the values of the latent in the range that its decoder knows, "
            "against burnt colours. Best in a sum, beside an energy that pushes hard. Needs no "
            "network and no decoder.",
            search_aliases=("range loss", "diffuseit", "clamp", "burnt", "oversaturated"),
            inputs=[
                io.Float.Input(
                    "limit",
                    default=4.0,
                    min=0.1,
                    max=100.0,
                    step=0.1,
                    tooltip="Largest value of the latent that costs nothing, in its standard "
                    "deviations: lower tones colours down. 1 for models of pixels.",
                ),
                weight_input(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(cls, limit: float, weight: float) -> io.NodeOutput:
        """Build the energy."""
        return finished(Range(limit), weight, None)
