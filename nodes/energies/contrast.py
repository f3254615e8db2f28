"""Keeps objects apart: words of one object attend alike, those of others elsewhere."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.contrast import Contrast
from ..inputs.attention import HOW, ending_inputs, layers_of, outputs
from ..inputs.energy import finished
from ..inputs.sockets import Tokens, advanced, schema

NAMES = ("first", "second", "third", "fourth")


class EnergyContrast(io.ComfyNode):
    """Keeps objects apart: words of one object attend alike, those of others elsewhere."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyContrast",
            display_name="Energy: Contrast",
            category="guidance/what",
            description="Keeps objects apart: the words of one object attend alike, those of "
            "different objects attend elsewhere. " + HOW,
            search_aliases=("conform", "infonce", "attribute binding", "color leak"),
            inputs=[
                *(cls._group(name, optional=index > 1) for index, name in enumerate(NAMES)),
                *ending_inputs(),
                advanced(
                    io.Float.Input(
                        "temperature",
                        default=0.5,
                        min=0.01,
                        max=100.0,
                        step=0.01,
                        tooltip="How sharply similar maps are told from others. Lower looks at the "
                        "most similar words only, higher at all alike; 0.5 is published.",
                    )
                ),
            ],
            outputs=outputs(),
        )

    @staticmethod
    def _group(name: str, *, optional: bool) -> io.Input:
        return Tokens.Input(
            name,
            optional=optional,
            tooltip=f"Words of the {name} object, chosen one by one: 'red' and 'circle', not "
            "'red circle'.",
        )

    @classmethod
    def execute(
        cls,
        first: Any,
        second: Any,
        weight: float,
        layers: str,
        temperature: float,
        third: Any = (),
        fourth: Any = (),
    ) -> io.NodeOutput:
        """Build the energy."""
        groups = tuple(tuple(group) for group in (first, second, third, fourth) if group)
        return finished(Contrast(groups, layers_of(layers), temperature), weight, None)
