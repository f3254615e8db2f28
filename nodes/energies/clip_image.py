"""Makes the image resemble a reference, by CLIP."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.clip_image import ClipImage
from ..inputs.energy import (
    OUTPUTS,
    channels_first,
    closing_inputs,
    crop_inputs,
    finished,
    reference_input,
)
from ..inputs.faults import CLIP_LOADERS, network_fault
from ..inputs.sockets import Network, schema


class EnergyCLIPImage(io.ComfyNode):
    """Makes the image resemble a reference, by CLIP."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyCLIPImage",
            display_name="Energy: CLIP Image",
            category="guidance/what",
            description="Makes the image resemble a reference in content and style, as a "
            "CLIP network sees them; the layout stays free.",
            search_aliases=("clip guidance", "image prompt", "style guidance", "reference"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: OpenCLIP."),
                reference_input("The image to resemble; with several, their mean."),
                io.Combo.Input(
                    "distance",
                    options=["spherical", "cosine"],
                    default="spherical",
                    tooltip="How image and reference are compared: spherical takes the "
                    "squared angle between their embeddings, cosine one minus the cosine of "
                    "it.",
                ),
                *crop_inputs(
                    0,
                    "More ask for the look of the reference in every part, and cost one "
                    "network pass each.",
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, network: None = None) -> bool | str:
        """Refuse another kind of network when the workflow is queued."""
        return network_fault("network", *CLIP_LOADERS) or True

    @classmethod
    def execute(
        cls,
        network: Any,
        reference: torch.Tensor,
        distance: str,
        cutouts: int,
        augment: bool,
        seed: int,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        energy = ClipImage(
            network,
            channels_first(reference),
            distance=distance,
            cutouts=cutouts,
            augment=augment,
            seed=seed,
        )
        return finished(energy, weight, mask)
