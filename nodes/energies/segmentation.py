"""Places an object in an area, by a segmenter."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.label_area import LabelArea
from ...guidance_core.energies.segmentation import Segmentation
from ...guidance_core.energies.weighted_sum import WeightedSum
from ...guidance_core.image.masks import box_mask
from ..inputs.boxes import backdrop_input, boxes_of
from ..inputs.energy import (
    OUTPUTS,
    channels_first,
    closing_inputs,
    fault_of,
    finished,
    normal,
    reference_input,
)
from ..inputs.faults import label_fault, network_fault, one_of_fault
from ..inputs.sockets import Network, advanced, schema


class EnergySegmentation(io.ComfyNode):
    """Places an object in an area, by a segmenter."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergySegmentation",
            display_name="Energy: Segmentation",
            category="guidance/where",
            description="Places objects in boxes or in a painted area, or copies the layout of a "
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
                advanced(
                    io.String.Input(
                        "boxes",
                        default="",
                        multiline=True,
                        optional=True,
                        tooltip="In place of a label and an area: one box per line, 'label: left "
                        "top right bottom', as fractions of the image's width and height, such as "
                        "'circle: 0.1 0.3 0.5 0.7'. A label with several boxes should fill all.",
                    )
                ),
                backdrop_input(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(
        cls, network: None = None, label: str | None = None, boxes: str | None = ""
    ) -> bool | str:
        """Refuse what cannot be built when the workflow is queued."""
        fault = network_fault("network", "EGLoadSegmenter")
        fault = fault or one_of_fault("area", "reference", "boxes")
        drawn = bool(boxes and boxes.strip())
        fault = fault or (fault_of(boxes_of, boxes or "") if drawn else None)
        if fault is None:
            asked = boxes_of(boxes)[0] if boxes and drawn else ((label or "").strip(),)
            fault = label_fault("network", *filter(None, asked))
        return fault or True

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
        boxes: str = "",
        image: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        sources = {"an area": area is not None, "a reference": reference is not None}
        given = [name for name, there in {**sources, "boxes": boxes.strip()}.items() if there]
        if len(given) != 1:
            raise ValueError(
                "Energy: Segmentation needs an area, a reference or boxes, got "
                f"{' and '.join(given) or 'none'}: connect or draw one of them"
            )
        energy: Any
        if boxes.strip():
            energy = _in_boxes(network, boxes, outside)
        elif area is None:
            energy = Segmentation(network, channels_first(reference))
        elif label.strip():
            energy = LabelArea(network, label.strip(), normal(area.clamp(0, 1)), outside)
        else:
            energy = Segmentation(network, normal((area * 255).round().long()))
        return finished(energy, weight, mask)


def _in_boxes(network: Any, text: str, outside: str) -> WeightedSum:
    """Every label in all of its boxes."""
    areas: dict[str, torch.Tensor] = {}
    labels, corners = boxes_of(text)
    for label, edges in zip(labels, corners.tolist(), strict=True):
        box = box_mask(edges)
        areas[label] = torch.maximum(areas.get(label, box), box)
    parts = [LabelArea(network, label, area, outside) for label, area in areas.items()]
    return WeightedSum(tuple((1.0, part) for part in parts))
