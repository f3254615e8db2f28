"""Structure or appearance of a reference, by a ViT."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.semblance import Semblance
from ...guidance_core.energies.structure import Structure
from ..inputs.energy import OUTPUTS, closing_inputs, finished, pictures, reference_input
from ..inputs.sockets import Network, schema


class EnergyStructure(io.ComfyNode):
    """Structure or appearance of a reference, by a ViT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyStructure",
            display_name="Energy: Structure",
            category="guidance/energies",
            description="Low where the picture is laid out like a reference, whatever its colours "
            "and textures; or where it looks like it, whatever its layout. By a ViT's keys and "
            "class token, as in DiffuseIT.",
            search_aliases=("diffuseit", "dino", "splice", "image translation", "appearance"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: ViT (DiffuseIT: DINO)."),
                reference_input("The picture to keep the structure of, or to look like."),
                io.Combo.Input(
                    "compare",
                    options=["self-similarity", "contrast", "appearance"],
                    default="self-similarity",
                    tooltip="Structure by which patches resemble each other (DiffuseIT: weight "
                    "1000), or by finding each patch again before all others (200, of another "
                    "unit); or the appearance of the whole (2000).",
                ),
                io.Float.Input(
                    "temperature",
                    default=0.07,
                    min=0.01,
                    max=10.0,
                    step=0.01,
                    tooltip="Of the contrast only: lower ones mind the nearest patches more. "
                    "DiffuseIT: 0.07.",
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls,
        network: Any,
        reference: torch.Tensor,
        compare: str,
        temperature: float,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        if compare == "appearance":
            return finished(Semblance(network, pictures(reference)), weight, mask)
        energy = Structure(network, pictures(reference), compare, temperature)
        return finished(energy, weight, mask)
