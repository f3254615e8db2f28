"""Makes the image show a class, by an image classifier."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.classifier import ClassLabel
from ..inputs.energy import OUTPUTS, closing_inputs, finished
from ..inputs.faults import label_fault, network_fault
from ..inputs.sockets import Network, schema


class EnergyClassifier(io.ComfyNode):
    """Makes the image show a class, by an image classifier."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyClassifier",
            display_name="Energy: Classifier",
            category="guidance/what",
            description="Makes the image show a class that an image classifier knows. Needs "
            "a decoder, mostly the VAE, where it is applied.",
            search_aliases=("classifier guidance", "class label"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: Classifier."),
                io.String.Input(
                    "label",
                    default="red",
                    tooltip="Name of the wanted class; an unknown one gives an error that "
                    "lists the known ones. Shapes' classifier knows circle, square, "
                    "triangle, red, green, blue, yellow, purple, white, small and big.",
                ),
                *closing_inputs(),
                io.Float.Input(
                    "confidence",
                    default=0.9,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="Probability of the class at which an image counts as done and "
                    "is changed no more, which keeps its other objects clean. Higher follows "
                    "the class further, 1 never stops. Not used with a negative weight; set "
                    "1 where Combine Energies makes the weight negative.",
                ),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, network: None = None, label: str | None = None) -> bool | str:
        """Refuse another kind of network, or an unknown label, when the workflow is queued."""
        fault = network_fault("network", "EGLoadClassifier")
        if fault is None and label is not None:
            fault = label_fault("network", label.strip())
        return fault or True

    @classmethod
    def execute(
        cls,
        network: Any,
        label: str,
        weight: float,
        mask: torch.Tensor | None = None,
        confidence: float = 0.9,
    ) -> io.NodeOutput:
        """Build the energy."""
        enough = confidence if weight > 0 else 1.0
        return finished(ClassLabel(network, label.strip(), enough), weight, mask)
