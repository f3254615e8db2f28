"""Makes the image show a class, by a classifier of the noisy latent."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.noisy_classifier import NoisyClassLabel
from ..inputs.energy import OUTPUTS, finished, weight_input
from ..inputs.faults import label_fault, network_fault
from ..inputs.sockets import Network, schema


class EnergyNoisyClassifier(io.ComfyNode):
    """Makes the image show a class, by a classifier of the noisy latent."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyNoisyClassifier",
            display_name="Energy: Noisy Label",
            category="guidance/what",
            description="Makes the image show a class, by a classifier that was trained on "
            "noisy latents: the original classifier guidance. Decodes nothing, and no "
            "gradient goes through the model, so that a step costs little more than without "
            "guidance. Needs Rule: Forward.",
            search_aliases=("classifier guidance", "noise-aware", "class label", "adm"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: Noisy."),
                io.String.Input(
                    "label",
                    default="red",
                    tooltip="Name of the wanted class; an unknown one gives an error that "
                    "lists the known ones.",
                ),
                weight_input(),
                io.Float.Input(
                    "confidence",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="Probability of the class, as the noisy latent shows it, at which an "
                    "image counts as done and is changed no more. 1 never stops: with the scale "
                    "absolute the steps fade by themselves. Not used with a negative weight.",
                ),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, network: None = None, label: str | None = None) -> bool | str:
        """Refuse another kind of network, or an unknown label, when the workflow is queued."""
        fault = network_fault("network", "EGLoadNoisyClassifier")
        if fault is None and label is not None:
            fault = label_fault("network", label.strip())
        return fault or True

    @classmethod
    def execute(cls, network: Any, label: str, weight: float, confidence: float) -> io.NodeOutput:
        """Build the energy."""
        enough = confidence if weight > 0 else 1.0
        return finished(NoisyClassLabel(network, label.strip(), enough), weight, None)
