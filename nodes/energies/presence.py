"""Words that must not be forgotten."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.presence import Presence
from ..inputs.attention import CATEGORY, HOW, ending_inputs, layers_of, opening_inputs, outputs
from ..inputs.energy import finished
from ..inputs.sockets import schema


class EnergyPresence(io.ComfyNode):
    """Words that must not be forgotten."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyPresence",
            display_name="Energy: Presence",
            category=CATEGORY,
            description="Low where each of the words owns some place of the picture. " + HOW,
            search_aliases=("attend and excite", "missing object", "neglect"),
            inputs=[*opening_inputs(), *ending_inputs()],
            outputs=outputs(),
        )

    @classmethod
    def execute(cls, tokens: Any, weight: float, layers: str) -> io.NodeOutput:
        """Build the energy."""
        return finished(Presence(tokens, layers_of(layers)), weight, None)
