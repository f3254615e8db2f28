"""Brings back objects that the model leaves out."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.presence import Presence
from ..inputs.attention import HOW, ending_inputs, layers_of, outputs
from ..inputs.energy import finished
from ..inputs.sockets import Tokens, schema


class EnergyPresence(io.ComfyNode):
    """Brings back objects that the model leaves out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyPresence",
            display_name="Energy: Presence",
            category="guidance/what",
            description="Brings back objects that the model leaves out. " + HOW,
            search_aliases=("attend and excite", "missing object", "neglect"),
            inputs=[
                Tokens.Input(
                    "tokens",
                    tooltip="Words that must appear, from Prompt Words; mostly the nouns. Each "
                    "word is judged alone, and the weakest is strengthened.",
                ),
                *ending_inputs(),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(cls, tokens: Any, weight: float, layers: str) -> io.NodeOutput:
        """Build the energy."""
        return finished(Presence(tokens, layers_of(layers)), weight, None)
