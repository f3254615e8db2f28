"""How unlikely a class is by an image classifier."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.classifier import ClassLabel
from ..inputs.energy import closing_inputs, finished
from ..inputs.sockets import Energy, Network, schema


class EnergyClassifier(io.ComfyNode):
    """How unlikely a class is by an image classifier."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyClassifier",
            display_name="Energy: Classifier",
            category="guidance/energies",
            description="Low where a classifier finds the class in the picture. Needs a VAE (or "
            "another decoder) where it is applied.",
            search_aliases=("classifier guidance", "class label"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: Classifier."),
                io.String.Input(
                    "label",
                    default="red",
                    tooltip="Name of the class; the error of an unknown one lists the known. "
                    "Shapes' classifier knows circle, square, triangle, six colours, small and "
                    "big.",
                ),
                *closing_inputs(),
                io.Float.Input(
                    "confidence",
                    default=0.9,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="Probability at which a picture counts as done and is pushed no more, "
                    "so that its other objects stay clean. 1 never rests, as in the papers. Not "
                    "used where the weight is negative.",
                ),
            ],
            outputs=[
                Energy.Output(display_name="energy", tooltip="For a rule or the guided sampler.")
            ],
        )

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
