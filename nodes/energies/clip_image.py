"""Distance between the picture and a reference, by CLIP."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.clip_image import ClipImage
from ..inputs.energy import OUTPUTS, closing_inputs, finished, pictures, reference_input
from ..inputs.sockets import Network, advanced, schema


class EnergyCLIPImage(io.ComfyNode):
    """Distance between the picture and a reference, by CLIP."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyCLIPImage",
            display_name="Energy: CLIP Image",
            category="guidance/energies",
            description="Low where a CLIP network sees in the picture what it sees in a reference: "
            "content and style at once, not the layout.",
            search_aliases=("clip guidance", "image prompt", "style guidance", "reference"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: OpenCLIP."),
                reference_input("What the picture should be like; several stand for their mean."),
                io.Combo.Input(
                    "distance",
                    options=["spherical", "cosine"],
                    default="spherical",
                    tooltip="How far the two are apart: the squared great-circle angle "
                    "(CLIP-guided diffusion in k-diffusion) or one minus the cosine (Universal "
                    "Guidance's style).",
                ),
                io.Int.Input(
                    "cutouts",
                    default=0,
                    min=0,
                    max=128,
                    tooltip="Random crops that the network looks at in each step besides the "
                    "whole picture. Universal Guidance used none; crops ask for the reference's "
                    "look in every part.",
                ),
                io.Boolean.Input(
                    "augment",
                    default=True,
                    tooltip="Jitter the crops, against adversarial textures, as k-diffusion's CLIP "
                    "guidance did. Without crops it does nothing.",
                ),
                advanced(
                    io.Int.Input(
                        "seed",
                        default=0,
                        min=0,
                        max=0xFFFFFFFFFFFFFFFF,
                        control_after_generate=False,
                        tooltip="Seed of the crops and of their jitter; the papers leave it to "
                        "chance.",
                    )
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls,
        network: Any,
        reference: torch.Tensor,
        distance: str,
        cutouts: int,
        augment: bool,
        seed: int,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        energy = ClipImage(
            network,
            pictures(reference),
            distance=distance,
            cutouts=cutouts,
            augment=augment,
            seed=seed,
        )
        return finished(energy, weight, mask)
