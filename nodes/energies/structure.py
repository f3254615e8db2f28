"""Copies the layout or the look of a reference, by a ViT."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.semblance import Semblance
from ...guidance_core.energies.structure import Structure
from ..inputs.energy import OUTPUTS, channels_first, closing_inputs, finished, reference_input
from ..inputs.faults import network_fault
from ..inputs.sockets import Network, schema


class EnergyStructure(io.ComfyNode):
    """Copies the layout or the look of a reference, by a ViT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyStructure",
            display_name="Energy: Structure",
            category="guidance/where",
            description="Copies the layout of a reference without its colours and textures, "
            "or its look without its layout, as a vision transformer (ViT) sees them.",
            search_aliases=("diffuseit", "dino", "splice", "image translation", "appearance"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: ViT, such as a DINO."),
                reference_input("The image to copy the layout or the look of."),
                io.Combo.Input(
                    "compare",
                    options=["self-similarity", "contrast", "appearance", "diffuseit"],
                    default="self-similarity",
                    tooltip="What is copied. self-similarity: layout, by which patches "
                    "resemble each other. contrast: layout, held more strictly: each patch "
                    "must match the one at its own place best. appearance: the look as a "
                    "whole. diffuseit: layout as published, the first two together, and away "
                    "from the step before while there is much noise. Each needs a weight of "
                    "its own.",
                ),
                io.Float.Input(
                    "temperature",
                    default=0.07,
                    min=0.01,
                    max=10.0,
                    step=0.01,
                    tooltip="For contrast and diffuseit, 0.01 to 10: lower holds each patch more "
                    "strictly to its place.",
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, network: None = None) -> bool | str:
        """Refuse another kind of network when the workflow is queued."""
        return network_fault("network", "EGLoadViT") or True

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
            return finished(Semblance(network, channels_first(reference)), weight, mask)
        energy = Structure(network, channels_first(reference), compare, temperature)
        return finished(energy, weight, mask)
