"""The outline of words."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.shape import Shape
from ..inputs.attention import (
    CATEGORY,
    HOW,
    angle_input,
    ending_inputs,
    layers_of,
    opening_inputs,
    outputs,
    share,
)
from ..inputs.energy import finished, normal
from ..inputs.sockets import Reference, schema


class EnergyShape(io.ComfyNode):
    """The outline of words."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyShape",
            display_name="Energy: Shape",
            category=CATEGORY,
            description="Low where the words fill an outline: a painted mask, or theirs in another "
            "run. " + HOW,
            search_aliases=("self guidance", "silhouette", "outline"),
            inputs=[
                *opening_inputs(),
                share("shift_x", 0.0, "How far to move the outline to the right.", -1.0),
                share("shift_y", 0.0, "How far to move the outline down.", -1.0),
                io.Float.Input(
                    "scale",
                    default=1.0,
                    min=0.05,
                    max=20.0,
                    step=0.05,
                    tooltip="Factor of the outline's width and height, about its centre; 1 keeps "
                    "it, as Self-Guidance does when it copies shapes.",
                ),
                *ending_inputs(),
                angle_input("outline"),
                io.Mask.Input(
                    "outline", optional=True, tooltip="White is where the words should be."
                ),
                Reference.Input(
                    "reference",
                    optional=True,
                    tooltip="Another run: the words should have their outline there "
                    "(Self-Guidance). Connect this or a mask.",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls,
        tokens: Any,
        shift_x: float,
        shift_y: float,
        scale: float,
        weight: float,
        layers: str,
        angle: float = 0.0,
        outline: torch.Tensor | None = None,
        reference: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        mask, shift = None if outline is None else normal(outline), (shift_x, shift_y)
        energy = Shape(tokens, mask, reference, shift, scale, layers_of(layers), angle)
        return finished(energy, weight, None)
