"""Makes an object of the prompt larger or smaller."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.attention.references import MOMENTS
from ...guidance_core.energies.size import Size
from ..inputs.attention import (
    HOW,
    ending_inputs,
    layers_of,
    measure_input,
    moment_input,
    opening_inputs,
    outputs,
    source_of,
    source_tokens_input,
)
from ..inputs.energy import finished
from ..inputs.sockets import Reference, advanced, schema


class EnergySize(io.ComfyNode):
    """Makes an object of the prompt larger or smaller."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergySize",
            display_name="Energy: Size",
            category="guidance/where",
            description="Makes an object of the prompt larger or smaller. " + HOW,
            search_aliases=("self guidance", "resize object"),
            inputs=[
                *opening_inputs(),
                io.Float.Input(
                    "area",
                    default=0.2,
                    min=0.01,
                    max=0.99,
                    step=0.01,
                    tooltip="Fraction of the image's area that the object should take, 0.01 "
                    "to 0.99: higher makes it larger. Not used with a reference.",
                ),
                advanced(
                    io.Float.Input(
                        "ratio",
                        default=1.0,
                        min=0.01,
                        max=100.0,
                        step=0.05,
                        tooltip="With a reference: the wanted area as a multiple of the area "
                        "there. 2 doubles it, 0.5 halves it, 1 keeps it.",
                    )
                ),
                *ending_inputs(),
                Reference.Input(
                    "reference",
                    optional=True,
                    tooltip="Recording of a source image: the object takes its area there "
                    "times the ratio.",
                ),
                measure_input("with its threshold"),
                source_tokens_input(),
                moment_input(),
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
        measure: str = "adapted",
        source_tokens: Any = None,
        moment: str = MOMENTS[0],
    ) -> io.NodeOutput:
        """Build the energy."""
        target = area if reference is None else None
        there = source_of(source_tokens) if reference is not None else ()
        settings = (tokens, target, reference, ratio, layers_of(layers), measure)
        energy = Size(*settings, source=there, moment=moment)
        return finished(energy, weight, None)
