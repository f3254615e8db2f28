"""Places an object in an area, by a segmenter."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.label_area import LabelArea
from ...guidance_core.energies.segmentation import Segmentation
from ..inputs.energy import (
    OUTPUTS,
    channels_first,
    closing_inputs,
    finished,
    normal,
    reference_input,
)
from ..inputs.sockets import Network, schema


class EnergySegmentation(io.ComfyNode):
    """Places an object in an area, by a segmenter."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergySegmentation",
            display_name="Energy: Segmentation",
            category="guidance/where",
            description="Places an object in a painted area, or copies the layout of a "
            "reference, as a segmenter sees them.",
            search_aliases=("segmentation guidance", "layout", "semantic map"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: Segmenter."),
                io.String.Input(
                    "label",
                    default="circle",
                    tooltip="Label that the area should have; an unknown one gives an error "
                    "that lists the known ones. Empty: the area is a map of all labels, in "
                    "which a pixel's grey level, 0 to 255, is the number of its label (255: "
                    "anything).",
                ),
                io.Combo.Input(
                    "outside",
                    options=["other", "ignored"],
                    default="other",
                    tooltip="other: the label must not appear outside the area. ignored: "
                    "anything may be outside, for several of these nodes together.",
                ),
                *closing_inputs(),
                io.Mask.Input(
                    "area",
                    optional=True,
                    tooltip="Where the label should be: white. Any size. Connect this or a "
                    "reference.",
                ),
                reference_input(
                    "Image whose segmentation is copied. Connect this or an area.",
                    optional=True,
                ),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls,
        network: Any,
        label: str,
        outside: str,
        weight: float,
        mask: torch.Tensor | None = None,
        area: torch.Tensor | None = None,
        reference: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        if (area is None) == (reference is None):
            raise ValueError(
                "Energy: Segmentation needs an area or a reference, got "
                f"{'neither' if area is None else 'both'}: connect one of them"
            )
        energy: Any
        if area is None:
            energy = Segmentation(network, channels_first(reference))
        elif label.strip():
            energy = LabelArea(network, label.strip(), normal(area.clamp(0, 1)), outside)
        else:
            energy = Segmentation(network, normal((area * 255).round().long()))
        return finished(energy, weight, mask)
