"""What lies where, by a segmenter."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.label_area import LabelArea
from ...guidance_core.energies.segmentation import Segmentation
from ..inputs.energy import (
    OUTPUTS,
    closing_inputs,
    finished,
    normal,
    pictures,
    reference_input,
)
from ..inputs.sockets import Network, schema


class EnergySegmentation(io.ComfyNode):
    """What lies where, by a segmenter."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergySegmentation",
            display_name="Energy: Segmentation",
            category="guidance/energies",
            description="Low where a segmenter finds a label in the painted area, or where it "
            "finds in the picture what it finds in a reference.",
            search_aliases=("segmentation guidance", "layout", "semantic map"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: Segmenter."),
                io.String.Input(
                    "label",
                    default="circle",
                    tooltip="What should be in the area; the error of an unknown label lists the "
                    "known ones. Empty: the area is a whole class map, whose grey level 0 to 255 "
                    "is the number of each pixel's label (255: anything).",
                ),
                io.Combo.Input(
                    "outside",
                    options=["other", "ignored"],
                    default="other",
                    tooltip="Outside the area the label should not be, or anything goes (for "
                    "several of these nodes together). Universal Guidance gave every pixel a "
                    "label.",
                ),
                *closing_inputs(),
                io.Mask.Input(
                    "area",
                    optional=True,
                    tooltip="White is where the label should be; any size.",
                ),
                reference_input(
                    "Instead of an area: a picture whose own segmentation is wanted, as in "
                    "Universal Guidance.",
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
                "Energy: Segmentation needs an area or a reference picture, got "
                f"{'neither' if area is None else 'both'}"
            )
        energy: Any
        if area is None:
            energy = Segmentation(network, pictures(reference))
        elif label.strip():
            energy = LabelArea(network, label.strip(), normal(area.clamp(0, 1)), outside)
        else:
            energy = Segmentation(network, normal((area * 255).round().long()))
        return finished(energy, weight, mask)
