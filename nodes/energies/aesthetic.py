"""Makes the image more pleasing, by an aesthetic predictor."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.aesthetic import Aesthetic
from ..host import networks
from ..inputs.energy import OUTPUTS, closing_inputs, finished
from ..inputs.faults import CLIP_LOADERS, network_fault
from ..inputs.network_file import file_fault, file_input
from ..inputs.sockets import Network, schema


class EnergyAesthetic(io.ComfyNode):
    """Makes the image more pleasing, by an aesthetic predictor."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyAesthetic",
            display_name="Energy: Aesthetic",
            category="guidance/what",
            description="Makes the image more pleasing, as rated by a predictor trained on "
            "the ratings of people. Needs a CLIP network and the file of the predictor.",
            search_aliases=("laion aesthetics", "beauty", "quality", "reward"),
            inputs=[
                Network.Input(
                    "network",
                    tooltip="From Load Guide: OpenCLIP: the network that the predictor was "
                    "trained on, for LAION's predictors a ViT-L-14.",
                ),
                file_input(networks.AESTHETIC),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, network: None = None, file: str | None = None) -> bool | str:
        """Refuse a missing file, or another kind of network, when the workflow is queued."""
        fault = network_fault("network", *CLIP_LOADERS)
        return fault or file_fault(file, networks.AESTHETIC) or True

    @classmethod
    def execute(
        cls, network: Any, file: str, weight: float, mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """Build the energy."""
        predictor = networks.load(networks.AESTHETIC, file)
        return finished(Aesthetic(network, predictor), weight, mask)
