"""Features as in another run."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.feature_keep import FeatureKeep
from ..inputs.attention import CATEGORY, HOW, layers_of, outputs
from ..inputs.energy import finished, normal, weight_input
from ..inputs.sockets import Reference, advanced, schema


class EnergyFeatureKeep(io.ComfyNode):
    """Features as in another run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyFeatureKeep",
            display_name="Energy: Keep Features",
            category=CATEGORY,
            description="Low where the model's activations are those of another run: content and "
            "structure stay. " + HOW,
            search_aliases=("plug and play", "dragondiffusion", "keep content"),
            inputs=[
                Reference.Input("reference", tooltip="The run to keep to, with its features."),
                weight_input(),
                advanced(
                    io.String.Input(
                        "layers",
                        default="default",
                        tooltip="Layers to read: default (the last block of a U-Net's decoder, as "
                        "in Self-Guidance, of Shapes the last two; a block of the middle in SD3 "
                        "and Flux), all, or names with commas between; a wrong name lists the "
                        "right ones.",
                    )
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White is what should stay; without one the whole picture. "
                    "DragonDiffusion keeps all but the edited area.",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls, reference: Any, weight: float, layers: str, mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """Build the energy."""
        area = None if mask is None else normal(mask)
        return finished(FeatureKeep(reference, area, layers_of(layers)), weight, None)
