"""Nodes that keep what the model sees inside as it was in another run."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..guidance_core.energies.attention_keep import AttentionKeep
from ..guidance_core.energies.feature_keep import FeatureKeep
from .attention_inputs import CATEGORY, HOW, ending_inputs, layers_of, outputs
from .sockets import Reference, Tokens, advanced, schema
from .weighting import finished, normal, weight_input


class EnergyAttentionKeep(io.ComfyNode):
    """Attention as in another run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyAttentionKeep",
            display_name="Energy: Keep Attention",
            category=CATEGORY,
            description="Low where the prompt's words are seen where they were in another run, so "
            "that an edit keeps the layout. " + HOW,
            search_aliases=("pix2pix zero", "cross attention guidance", "keep layout"),
            inputs=[
                Reference.Input("reference", tooltip="The run to keep to (Pix2Pix-Zero)."),
                *ending_inputs(),
                Tokens.Input(
                    "tokens",
                    optional=True,
                    tooltip="Words to keep; without them every token of the prompt, as in "
                    "Pix2Pix-Zero.",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(cls, reference: Any, weight: float, layers: str, tokens: Any = ()) -> io.NodeOutput:
        """Build the energy."""
        energy = AttentionKeep(reference, tuple(tokens), layers_of(layers))
        return finished(energy, weight, None)


class EnergyFeatureKeep(io.ComfyNode):
    """Features as in another run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyFeatureKeep",
            display_name="Energy: Keep Features",
            category=CATEGORY,
            description="Low where the model's activations are those of another run: content and "
            "structure stay. " + HOW,
            search_aliases=("plug and play", "dragondiffusion", "keep content"),
            inputs=[
                Reference.Input("reference", tooltip="The run to keep to, with its features."),
                weight_input(),
                advanced(
                    io.String.Input(
                        "layers",
                        default="default",
                        tooltip="Layers to read: default (the last block of a U-Net's decoder, as "
                        "in Self-Guidance, of Shapes the last two; a block of the middle in SD3 "
                        "and Flux), all, or names with commas between; a wrong name lists the "
                        "right ones.",
                    )
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White is what should stay; without one the whole picture. "
                    "DragonDiffusion keeps all but the edited area.",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls, reference: Any, weight: float, layers: str, mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """Build the energy."""
        area = None if mask is None else normal(mask)
        return finished(FeatureKeep(reference, area, layers_of(layers)), weight, None)


NODES = [EnergyAttentionKeep, EnergyFeatureKeep]
