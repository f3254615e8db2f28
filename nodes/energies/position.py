"""Moves an object of the prompt to a point."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.attention.references import MOMENTS
from ...guidance_core.energies.position import Position
from ..inputs.attention import (
    HOW,
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
from ..inputs.boxes import backdrop_input
from ..inputs.energy import fault_of, finished
from ..inputs.frames import TIMES, is_batch, time_input
from ..inputs.keyframes import keyframes_input, keyframes_of
from ..inputs.sockets import Reference, advanced, schema


class EnergyPosition(io.ComfyNode):
    """Moves an object of the prompt to a point."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyPosition",
            display_name="Energy: Position",
            category="guidance/where",
            description="Moves an object of the prompt to a point. " + HOW,
            search_aliases=("self guidance", "move object", "layout"),
            inputs=[
                *opening_inputs(),
                share(
                    "x",
                    0.5,
                    "Horizontal place of the object's centre: 0 is the left edge of "
                    "the image, 1 its right edge. Not used with a reference.",
                ),
                share(
                    "y",
                    0.5,
                    "Vertical place of the object's centre: 0 is the top of the "
                    "image, 1 its bottom. Not used with a reference.",
                ),
                advanced(
                    share(
                        "shift_x",
                        0.0,
                        "With a reference: how far the object goes to the right of its place "
                        "there, as a fraction of the image width from -1 to 1; negative is "
                        "to the left.",
                        -1.0,
                    )
                ),
                advanced(
                    share(
                        "shift_y",
                        0.0,
                        "With a reference: how far the object goes below its place "
                        "there, as a fraction of the image height from -1 to 1; negative is "
                        "upwards.",
                        -1.0,
                    )
                ),
                *ending_inputs(),
                Reference.Input(
                    "reference",
                    optional=True,
                    tooltip="Recording of a source image: the object goes to its place there "
                    "plus the shift, in place of x and y.",
                ),
                measure_input("by the bare attention, whose background pulls to the middle"),
                keyframes_input("a point", "x and y", "0: 0.2 0.5; 1: 0.8 0.5"),
                advanced(time_input(optional=True)),
                source_tokens_input(),
                moment_input(),
                backdrop_input(),
            ],
            outputs=outputs(),
        )

    @classmethod
    def validate_inputs(cls, keyframes: str | None = None) -> bool | str:
        """Refuse what is no keyframe when the workflow is queued."""
        return fault_of(keyframes_of, keyframes or "") or True

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
        measure: str = "adapted",
        keyframes: str = "",
        time: str = TIMES[0],
        source_tokens: Any = None,
        moment: str = MOMENTS[0],
        image: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        target = (keyframes_of(keyframes) or (x, y)) if reference is None else None
        settings = (tokens, target, reference, (shift_x, shift_y), layers_of(layers), measure)
        there = source_of(source_tokens) if reference is not None else ()
        energy = Position(*settings, batch_is_video=is_batch(time), source=there, moment=moment)
        return finished(energy, weight, None)
