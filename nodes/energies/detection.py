"""Places objects in boxes, by a detector."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.detection import Detection
from ..inputs.boxes import backdrop_input, boxes_of
from ..inputs.energy import (
    OUTPUTS,
    closing_inputs,
    fault_of,
    finished,
    normal,
)
from ..inputs.faults import label_fault, network_fault
from ..inputs.sockets import Network, advanced, schema


class EnergyDetection(io.ComfyNode):
    """Places objects in boxes, by a detector."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyDetection",
            display_name="Energy: Detection",
            category="guidance/where",
            description="Places objects in boxes, as an object detector sees them, and keeps "
            "other objects away.",
            search_aliases=("object detection", "bounding box", "layout"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: Detector."),
                advanced(
                    io.String.Input(
                        "boxes",
                        default="circle: 0.1 0.3 0.5 0.7",
                        multiline=True,
                        tooltip="One object per line, 'label: left top right bottom', as "
                        "fractions of the image's width and height, such as 'circle: 0.1 0.3 0.5 "
                        "0.7'. Objects that are not listed are suppressed.",
                    )
                ),
                advanced(
                    io.Int.Input(
                        "seed",
                        default=0,
                        min=0,
                        max=0xFFFFFFFFFFFFFFFF,
                        control_after_generate=False,
                        tooltip="Seed of the places that the detector's losses sample.",
                    )
                ),
                *closing_inputs(),
                backdrop_input(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, network: None = None, boxes: str | None = None) -> bool | str:
        """Refuse boxes that cannot be read, or whose labels are unknown, when it is queued."""
        fault = None if boxes is None else fault_of(boxes_of, boxes)
        fault = fault or network_fault("network", "EGLoadDetector")
        if fault is None and boxes is not None:
            fault = label_fault("network", *boxes_of(boxes)[0])
        return fault or True

    @classmethod
    def execute(
        cls,
        network: Any,
        boxes: str,
        seed: int,
        weight: float,
        mask: torch.Tensor | None = None,
        image: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        labels, corners = boxes_of(boxes)
        return finished(Detection(network, normal(corners), labels, seed), weight, mask)
