"""Makes the image equal to a reference."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.image import ReferenceImage
from ..inputs.energy import OUTPUTS, channels_first, closing_inputs, finished, reference_input
from ..inputs.faults import FEATURE_LOADERS, missing_fault, network_fault
from ..inputs.sockets import Network, schema


class EnergyImage(io.ComfyNode):
    """Makes the image equal to a reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyImage",
            display_name="Energy: Image",
            category="guidance/restore",
            description="Makes the image equal to a reference, pixel by pixel or in what a "
            "network sees. With a mask, only there.",
            search_aliases=("reference", "reconstruction", "lpips", "perceptual loss"),
            inputs=[
                reference_input("The wanted image; it is resized to the size of the sampled one."),
                io.Combo.Input(
                    "distance",
                    options=["l2", "l1", "features"],
                    default="l2",
                    tooltip="How the two are compared. l2: mean squared difference of "
                    "pixels. l1: mean absolute difference, which forgives single strong "
                    "differences. features: difference of a network's features, which leaves "
                    "details free.",
                ),
                *closing_inputs(),
                Network.Input(
                    "network",
                    optional=True,
                    tooltip="For 'features': from Load Guide: Classifier (such as a vgg16), "
                    "OpenCLIP or ViT.",
                ),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, distance: str | None = None) -> bool | str:
        """Refuse features without a network that has some, when the workflow is queued."""
        if distance != "features":
            return True
        fault = missing_fault("network", "with 'features'")
        return fault or network_fault("network", *FEATURE_LOADERS) or True

    @classmethod
    def execute(
        cls,
        reference: torch.Tensor,
        distance: str,
        weight: float,
        mask: torch.Tensor | None = None,
        network: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        energy = ReferenceImage(
            channels_first(reference), distance, network if distance == "features" else None
        )
        return finished(energy, weight, mask)
