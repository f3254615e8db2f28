"""Gives an object of the prompt an outline."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.attention.references import MOMENTS
from ...guidance_core.energies.shape import Shape
from ..inputs.attention import (
    HOW,
    angle_input,
    ending_inputs,
    layers_of,
    measure_input,
    moment_input,
    opening_inputs,
    outputs,
    share,
    source_of,
    source_tokens_input,
)
from ..inputs.energy import finished, normal
from ..inputs.faults import one_of_fault
from ..inputs.sockets import Reference, schema


class EnergyShape(io.ComfyNode):
    """Gives an object of the prompt an outline."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyShape",
            display_name="Energy: Shape",
            category="guidance/where",
            description="Gives an object of the prompt an outline: a painted mask, or its "
            "own outline in a source image. " + HOW,
            search_aliases=("self guidance", "silhouette", "outline"),
            inputs=[
                *opening_inputs(),
                share(
                    "shift_x",
                    0.0,
                    "Moves the outline to the right, as a fraction of the image "
                    "width from -1 to 1; negative is to the left.",
                    -1.0,
                ),
                share(
                    "shift_y",
                    0.0,
                    "Moves the outline down, as a fraction of the image height from "
                    "-1 to 1; negative is upwards.",
                    -1.0,
                ),
                io.Float.Input(
                    "scale",
                    default=1.0,
                    min=0.05,
                    max=20.0,
                    step=0.05,
                    tooltip="Size of the outline, as a factor of its width and height about "
                    "its centre: 2 doubles both, 1 keeps them.",
                ),
                *ending_inputs(),
                angle_input("outline"),
                io.Mask.Input(
                    "outline",
                    optional=True,
                    tooltip="Mask of the wanted outline: white is "
                    "where the object should be. Connect this or a reference.",
                ),
                Reference.Input(
                    "reference",
                    optional=True,
                    tooltip="Recording of a source image: the object takes its outline "
                    "there. Connect this or an outline.",
                ),
                measure_input(
                    "with its threshold",
                    (
                        "with layout",
                        " with layout: adapted, and how much of the attention lies outside of the "
                        "outline, which leads objects that are elsewhere.",
                    ),
                ),
                source_tokens_input(),
                moment_input(),
            ],
            outputs=outputs(),
        )

    @classmethod
    def validate_inputs(cls, tokens: None = None) -> bool | str:
        """Refuse words without one outline when the workflow is queued."""
        return one_of_fault("outline", "reference") or True

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
        measure: str = "adapted",
        source_tokens: Any = None,
        moment: str = MOMENTS[0],
    ) -> io.NodeOutput:
        """Build the energy."""
        mask, shift = None if outline is None else normal(outline), (shift_x, shift_y)
        there = source_of(source_tokens) if reference is not None else ()
        settings = (tokens, mask, reference, shift, scale, layers_of(layers), angle, measure)
        energy = Shape(*settings, source=there, moment=moment)
        return finished(energy, weight, None)
