"""Words that belong together."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.binding import Binding
from ..inputs.attention import CATEGORY, HOW, ending_inputs, layers_of, outputs
from ..inputs.energy import finished
from ..inputs.sockets import Tokens, schema


class EnergyBinding(io.ComfyNode):
    """Words that belong together."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyBinding",
            display_name="Energy: Binding",
            category=CATEGORY,
            description="Low where words that belong together, such as a colour and its object, "
            "are seen in one place, and others elsewhere. " + HOW,
            search_aliases=("syngen", "divide and bind", "attribute binding", "color leak"),
            inputs=[
                Tokens.Input(
                    "tokens",
                    tooltip="Words that belong together, at least two, such as 'red' and 'circle' "
                    "as separate words (Divide and Bind).",
                ),
                *ending_inputs(),
                Tokens.Input(
                    "others",
                    optional=True,
                    tooltip="Words to keep apart from them, such as the other object and its "
                    "colour (SynGen).",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(cls, tokens: Any, weight: float, layers: str, others: Any = ()) -> io.NodeOutput:
        """Build the energy."""
        return finished(Binding(tokens, tuple(others), layers_of(layers)), weight, None)
