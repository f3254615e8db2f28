"""Keeps content and structure of a source image."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.feature_keep import FeatureKeep
from ..inputs.attention import HOW, layers_of, outputs
from ..inputs.energy import finished, normal, weight_input
from ..inputs.sockets import Reference, advanced, schema


class EnergyFeatureKeep(io.ComfyNode):
    """Keeps content and structure of a source image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyFeatureKeep",
            display_name="Energy: Keep Features",
            category="guidance/edit",
            description="Keeps content and structure of a source image, everywhere or inside "
            "a mask. " + HOW,
            search_aliases=("plug and play", "dragondiffusion", "keep content"),
            inputs=[
                Reference.Input(
                    "reference", tooltip="Recording of the image that stays, with features."
                ),
                weight_input(),
                advanced(
                    io.String.Input(
                        "layers",
                        default="default",
                        tooltip="Feature layers to read. default suits the model: the last "
                        "block of a U-Net's decoder (of Shapes, the last two), a middle "
                        "block of SD3 and Flux. all: every layer. Or names, separated by "
                        "commas; a wrong name gives an error that lists the right ones.",
                    )
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White is what should stay; without a mask, the whole image.",
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
