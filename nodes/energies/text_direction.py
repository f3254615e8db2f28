"""Changes a source image from what one sentence says to what another says."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.text_direction import TextDirection
from ..inputs.energy import (
    OUTPUTS,
    channels_first,
    closing_inputs,
    crop_inputs,
    finished,
    reference_input,
    sentence_fault,
)
from ..inputs.faults import network_fault
from ..inputs.sockets import Network, schema


class EnergyTextDirection(io.ComfyNode):
    """Changes a source image from what one sentence says to what another says."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyTextDirection",
            display_name="Energy: Text Direction",
            category="guidance/what",
            description="Changes a source image from what one sentence says to what another "
            "says, as judged by a CLIP network: towards the one, away from the other, and near "
            "to the source image.",
            search_aliases=("diffuseit", "image translation", "clip direction", "directional"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: OpenCLIP."),
                io.String.Input(
                    "target",
                    default="a big blue circle",
                    multiline=True,
                    tooltip="What the image should show.",
                ),
                io.String.Input(
                    "source",
                    default="a big red circle",
                    multiline=True,
                    tooltip="What the source image shows.",
                ),
                reference_input("The source image, or one per sample."),
                io.Float.Input(
                    "away",
                    default=0.4,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    tooltip="How far the image moves away from the source sentence, beside 1 "
                    "towards the target: higher leaves less of what only the source says.",
                ),
                io.Float.Input(
                    "keep",
                    default=0.2,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    tooltip="How near the image stays to the source image, beside 1 towards the "
                    "target: higher changes less.",
                ),
                *crop_inputs(
                    8,
                    "More make the gradient smoother, and cost one network pass each; 0 for the "
                    "network 'shapes', which knows whole scenes only.",
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(
        cls, network: None = None, target: str | None = None, source: str | None = None
    ) -> bool | str:
        """Refuse an empty sentence, or another kind of network, when the workflow is queued."""
        empty = sentence_fault(target) or sentence_fault(source)
        return empty or network_fault("network", "EGLoadOpenCLIP") or True

    @classmethod
    def execute(
        cls,
        network: Any,
        target: str,
        source: str,
        reference: torch.Tensor,
        away: float,
        keep: float,
        cutouts: int,
        augment: bool,
        seed: int,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        energy = TextDirection(
            network,
            target,
            source,
            channels_first(reference),
            away=away,
            keep=keep,
            cutouts=cutouts,
            augment=augment,
            seed=seed,
        )
        return finished(energy, weight, mask)
