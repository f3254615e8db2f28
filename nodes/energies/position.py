"""Where words are."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.position import Position
from ..inputs.attention import (
    CATEGORY,
    HOW,
    ending_inputs,
    layers_of,
    opening_inputs,
    outputs,
    share,
)
from ..inputs.energy import finished
from ..inputs.sockets import Reference, advanced, schema


class EnergyPosition(io.ComfyNode):
    """Where words are."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyPosition",
            display_name="Energy: Position",
            category=CATEGORY,
            description="Low where the model sees the words at the wanted place. " + HOW,
            search_aliases=("self guidance", "move object", "layout"),
            inputs=[
                *opening_inputs(),
                share("x", 0.5, "Where the centre should be; unused with a reference."),
                share("y", 0.5, "Where the centre should be; unused with a reference."),
                advanced(
                    share(
                        "shift_x",
                        0.0,
                        "With a reference: how far to the right of its place there.",
                        -1.0,
                    )
                ),
                advanced(
                    share("shift_y", 0.0, "With a reference: how far below its place there.", -1.0)
                ),
                *ending_inputs(),
                Reference.Input(
                    "reference",
                    optional=True,
                    tooltip="Another run: the words should be where they were there, plus the "
                    "shift (Self-Guidance moves objects so).",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls,
        tokens: Any,
        x: float,
        y: float,
        shift_x: float,
        shift_y: float,
        weight: float,
        layers: str,
        reference: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        target = (x, y) if reference is None else None
        energy = Position(tokens, target, reference, (shift_x, shift_y), layers_of(layers))
        return finished(energy, weight, None)
