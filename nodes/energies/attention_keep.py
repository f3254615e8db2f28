"""Attention as in another run."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.attention_keep import AttentionKeep
from ..inputs.attention import CATEGORY, HOW, ending_inputs, layers_of, outputs
from ..inputs.energy import finished
from ..inputs.sockets import Reference, Tokens, schema


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
