"""Gives an object the look it has in a source image."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.appearance import Appearance
from ..inputs.attention import (
    HOW,
    ending_inputs,
    layers_of,
    measure_input,
    opening_inputs,
    outputs,
    source_of,
    source_tokens_input,
)
from ..inputs.energy import finished
from ..inputs.sockets import Reference, schema


class EnergyAppearance(io.ComfyNode):
    """Gives an object the look it has in a source image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyAppearance",
            display_name="Energy: Appearance",
            category="guidance/edit",
            description="Gives an object the look it has in a source image, wherever it is "
            "now. " + HOW,
            search_aliases=("self guidance", "keep look", "identity"),
            inputs=[
                *opening_inputs(),
                Reference.Input(
                    "reference",
                    tooltip="Recording of the image whose look is wanted, with maps and features.",
                ),
                *ending_inputs(),
                measure_input("by absolute differences, to which channels of noise add most"),
                source_tokens_input(),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls,
        tokens: Any,
        reference: Any,
        weight: float,
        layers: str,
        measure: str = "adapted",
        source_tokens: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        there = source_of(source_tokens)
        energy = Appearance(tokens, reference, layers_of(layers), measure=measure, source=there)
        return finished(energy, weight, None)
