"""Distance between the picture and a sentence."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.clip_text import ClipText
from ..inputs.energy import closing_inputs, finished
from ..inputs.sockets import Energy, Network, advanced, schema


class EnergyCLIPText(io.ComfyNode):
    """Distance between the picture and a sentence."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyCLIPText",
            display_name="Energy: CLIP Text",
            category="guidance/energies",
            description="Low where a CLIP network says that the picture fits the sentence. Needs "
            "a VAE (or another decoder) where it is applied.",
            search_aliases=("clip guidance", "text energy"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: OpenCLIP."),
                io.String.Input(
                    "text",
                    default="a big red circle",
                    multiline=True,
                    tooltip="What the picture should show, in the words the network was trained "
                    "on.",
                ),
                io.Combo.Input(
                    "distance",
                    options=["spherical", "cosine"],
                    default="spherical",
                    tooltip="How far picture and text are apart: the squared great-circle angle "
                    "(CLIP-guided diffusion in k-diffusion) or one minus the cosine (Universal "
                    "Guidance).",
                ),
                io.Int.Input(
                    "cutouts",
                    default=4,
                    min=0,
                    max=128,
                    tooltip="Random crops that the network looks at in each step besides the "
                    "whole picture; their mean makes the gradient smoother and costs as many "
                    "network passes. Universal Guidance used none, k-diffusion 16.",
                ),
                io.Boolean.Input(
                    "augment",
                    default=True,
                    tooltip="Jitter the crops (small turns, shifts, colour), so that no "
                    "adversarial texture can please the network. k-diffusion's CLIP guidance did.",
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
            outputs=[
                Energy.Output(display_name="energy", tooltip="For a rule or the guided sampler.")
            ],
        )

    @classmethod
    def validate_inputs(cls, text: str | None = None) -> bool | str:
        """Refuse an empty sentence when the workflow is queued."""
        if text is not None and not text.strip():
            return "text must not be empty: say what the picture should show"
        return True

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
    ) -> io.NodeOutput:
        """Build the energy."""
        energy = ClipText(
            network, text, distance=distance, cutouts=cutouts, augment=augment, seed=seed
        )
        return finished(energy, weight, mask)
