"""How big words are."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.size import Size
from ..inputs.attention import (
    CATEGORY,
    HOW,
    ending_inputs,
    layers_of,
    opening_inputs,
    outputs,
)
from ..inputs.energy import finished
from ..inputs.sockets import Reference, advanced, schema


class EnergySize(io.ComfyNode):
    """How big words are."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergySize",
            display_name="Energy: Size",
            category=CATEGORY,
            description="Low where the words take the wanted part of the picture. " + HOW,
            search_aliases=("self guidance", "resize object"),
            inputs=[
                *opening_inputs(),
                io.Float.Input(
                    "area",
                    default=0.2,
                    min=0.01,
                    max=0.99,
                    step=0.01,
                    tooltip="Part of the picture's area that the words should take, 0 to 1; unused "
                    "with a reference.",
                ),
                advanced(
                    io.Float.Input(
                        "ratio",
                        default=1.0,
                        min=0.01,
                        max=100.0,
                        step=0.05,
                        tooltip="With a reference: how many times the area there (Self-Guidance "
                        "used 0.5 to 2).",
                    )
                ),
                *ending_inputs(),
                Reference.Input(
                    "reference",
                    optional=True,
                    tooltip="Another run: the words should take their area there times the ratio.",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls,
        tokens: Any,
        area: float,
        ratio: float,
        weight: float,
        layers: str,
        reference: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        target = area if reference is None else None
        return finished(Size(tokens, target, reference, ratio, layers_of(layers)), weight, None)
