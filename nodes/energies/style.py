"""Gives the image the style of a reference."""

from __future__ import annotations

import re
from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.style import Style
from ..inputs.energy import (
    OUTPUTS,
    channels_first,
    closing_inputs,
    fault_of,
    finished,
    reference_input,
)
from ..inputs.faults import FEATURE_LOADERS, network_fault
from ..inputs.sockets import Network, schema


class EnergyStyle(io.ComfyNode):
    """Gives the image the style of a reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyStyle",
            display_name="Energy: Style",
            category="guidance/what",
            description="Gives the image the style of a reference: its colours, textures and "
            "strokes, wherever they are.",
            search_aliases=("gram matrix", "style transfer", "texture", "freedom"),
            inputs=[
                Network.Input(
                    "network",
                    tooltip="From Load Guide: OpenCLIP, ViT, or Classifier (such as a vgg19).",
                ),
                reference_input("The image whose style is wanted, any size."),
                io.String.Input(
                    "layers",
                    default="2",
                    tooltip="Blocks of the network to compare, counted from 0 and separated "
                    "by commas; -1 is the last. Early blocks hold colour and texture, late "
                    "ones also content.",
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, network: None = None, layers: str | None = None) -> bool | str:
        """Refuse layers that are not numbers, or another network, when the workflow is queued."""
        fault = None if layers is None else fault_of(layer_numbers, layers)
        return fault or network_fault("network", *FEATURE_LOADERS) or True

    @classmethod
    def execute(
        cls,
        network: Any,
        reference: torch.Tensor,
        layers: str,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        return finished(
            Style(network, channels_first(reference), layer_numbers(layers)), weight, mask
        )


def layer_numbers(text: str) -> tuple[int, ...]:
    """Whole numbers of a text such as '2, -1'."""
    parts = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    if not parts or not all(re.fullmatch(r"-?\d+", part) for part in parts):
        raise ValueError(
            f"layers must be whole numbers separated by commas, got '{text}': write them as 2, -1"
        )
    return tuple(int(part) for part in parts)
