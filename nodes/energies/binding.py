"""Keeps an attribute, such as a colour, on its own object."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.binding import Binding
from ..inputs.attention import HOW, ending_inputs, layers_of, outputs
from ..inputs.energy import finished
from ..inputs.sockets import Tokens, schema


class EnergyBinding(io.ComfyNode):
    """Keeps an attribute, such as a colour, on its own object."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyBinding",
            display_name="Energy: Binding",
            category="guidance/what",
            description="Keeps an attribute, such as a colour, on its own object and off the "
            "others. " + HOW,
            search_aliases=("syngen", "divide and bind", "attribute binding", "color leak"),
            inputs=[
                Tokens.Input(
                    "tokens",
                    tooltip="Words that belong together, at least two, chosen one by one: "
                    "'red' and 'circle', not 'red circle'.",
                ),
                *ending_inputs(),
                Tokens.Input(
                    "others",
                    optional=True,
                    tooltip="Words to keep away from them, such as the other object and its "
                    "colour.",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(cls, tokens: Any, weight: float, layers: str, others: Any = ()) -> io.NodeOutput:
        """Build the energy."""
        return finished(Binding(tokens, tuple(others), layers_of(layers)), weight, None)
