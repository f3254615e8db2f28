"""Keeps the layout of a source image."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.attention_keep import AttentionKeep
from ..inputs.attention import HOW, ending_inputs, heads_input, layers_of, outputs
from ..inputs.energy import finished
from ..inputs.sockets import Reference, Tokens, schema


class EnergyAttentionKeep(io.ComfyNode):
    """Keeps the layout of a source image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyAttentionKeep",
            display_name="Energy: Keep Attention",
            category="guidance/edit",
            description="Keeps the layout of a source image while the prompt changes. " + HOW,
            search_aliases=("pix2pix zero", "cross attention guidance", "keep layout"),
            inputs=[
                Reference.Input(
                    "reference", tooltip="Recording of the image whose layout stays, with maps."
                ),
                *ending_inputs(),
                Tokens.Input(
                    "tokens",
                    optional=True,
                    tooltip="Words to hold in place; without any, all tokens of the prompt. "
                    "Leave out the words that should change.",
                ),
                heads_input(
                    "mean: keeps the mean of the attention heads. each: keeps every head, as "
                    "Pix2Pix-Zero does; needs a reference recorded with heads each."
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls,
        reference: Any,
        weight: float,
        layers: str,
        tokens: Any = (),
        heads: str = "mean",
    ) -> io.NodeOutput:
        """Build the energy."""
        energy = AttentionKeep(reference, tuple(tokens), layers_of(layers), heads)
        return finished(energy, weight, None)
