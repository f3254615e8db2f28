"""Brings back objects that the model leaves out."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.dominance import Dominance
from ...guidance_core.energies.presence import Presence
from ...guidance_core.energies.weighted_sum import WeightedSum
from ..inputs.attention import HOW, ending_inputs, layers_of, outputs
from ..inputs.energy import finished
from ..inputs.sockets import Tokens, advanced, schema


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
                advanced(
                    io.Float.Input(
                        "suppress",
                        default=0.0,
                        min=0.0,
                        max=100.0,
                        step=0.05,
                        optional=True,
                        tooltip="How strongly the word that dominates the place of a missing one "
                        "is suppressed there, beside the missing one being strengthened. 0 is "
                        "off, 1 as strong as the presence itself. Needs two words or more.",
                    )
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls, tokens: Any, weight: float, layers: str, suppress: float = 0.0
    ) -> io.NodeOutput:
        """Build the energy."""
        presence = Presence(tokens, layers_of(layers))
        if suppress == 0:
            return finished(presence, weight, None)
        dominance = Dominance(tuple(tokens), layers_of(layers))
        return finished(WeightedSum(((1.0, presence), (suppress, dominance))), weight, None)
