"""Makes the image fit a sentence, by CLIP."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.clip_text import ClipText
from ..inputs.energy import OUTPUTS, closing_inputs, crop_inputs, finished, sentence_fault
from ..inputs.faults import network_fault
from ..inputs.sockets import Network, schema


class EnergyCLIPText(io.ComfyNode):
    """Makes the image fit a sentence, by CLIP."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyCLIPText",
            display_name="Energy: CLIP Text",
            category="guidance/what",
            description="Makes the image fit a sentence, as judged by a CLIP network. Needs "
            "a decoder, mostly the VAE, where it is applied.",
            search_aliases=("clip guidance", "text energy"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: OpenCLIP."),
                io.String.Input(
                    "text",
                    default="a big red circle",
                    multiline=True,
                    tooltip="What the image should show, in words that the network was trained on.",
                ),
                io.Combo.Input(
                    "distance",
                    options=["spherical", "cosine"],
                    default="spherical",
                    tooltip="How image and sentence are compared: spherical takes the "
                    "squared angle between their embeddings, cosine one minus the cosine of "
                    "it.",
                ),
                *crop_inputs(
                    4,
                    "More make the gradient smoother, and cost one network pass each; 0 for the "
                    "network 'shapes', which knows whole scenes only.",
                ),
                *closing_inputs(),
                io.Float.Input(
                    "enough",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="Cosine between image and sentence at which an image counts as done "
                    "and is changed no more; 0 never stops. For the network 'shapes' 0.38; others "
                    "reach other values. Not used with a negative weight.",
                ),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, network: None = None, text: str | None = None) -> bool | str:
        """Refuse an empty sentence, or another kind of network, when the workflow is queued."""
        return sentence_fault(text) or network_fault("network", "EGLoadOpenCLIP") or True

    @classmethod
    def execute(
        cls,
        network: Any,
        text: str,
        distance: str,
        cutouts: int,
        augment: bool,
        seed: int,
        weight: float,
        mask: torch.Tensor | None = None,
        enough: float = 0.0,
    ) -> io.NodeOutput:
        """Build the energy."""
        energy = ClipText(
            network,
            text,
            distance=distance,
            cutouts=cutouts,
            augment=augment,
            seed=seed,
            enough=enough if weight > 0 else 0.0,
        )
        return finished(energy, weight, mask)
