"""How words look."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.appearance import Appearance
from ..inputs.attention import (
    CATEGORY,
    HOW,
    ending_inputs,
    layers_of,
    opening_inputs,
    outputs,
)
from ..inputs.energy import finished
from ..inputs.sockets import Reference, schema


class EnergyAppearance(io.ComfyNode):
    """How words look."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyAppearance",
            display_name="Energy: Appearance",
            category=CATEGORY,
            description="Low where the words look as they did in another run, wherever they are. "
            + HOW,
            search_aliases=("self guidance", "keep look", "identity"),
            inputs=[
                *opening_inputs(),
                Reference.Input(
                    "reference",
                    tooltip="Another run, with the words and features recorded (Self-Guidance).",
                ),
                *ending_inputs(),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(cls, tokens: Any, reference: Any, weight: float, layers: str) -> io.NodeOutput:
        """Build the energy."""
        return finished(Appearance(tokens, reference, layers_of(layers)), weight, None)
