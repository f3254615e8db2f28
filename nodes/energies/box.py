"""Puts an object of the prompt inside a box."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.box import LOSSES, Box
from ..inputs.attention import (
    HOW,
    angle_input,
    ending_inputs,
    heads_input,
    layers_of,
    opening_inputs,
    outputs,
    share,
)
from ..inputs.boxes import backdrop_input
from ..inputs.energy import fault_of, finished
from ..inputs.frames import TIMES, is_batch, time_input
from ..inputs.keyframes import keyframes_input, keyframes_of
from ..inputs.sockets import advanced, schema


class EnergyBox(io.ComfyNode):
    """Puts an object of the prompt inside a box."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyBox",
            display_name="Energy: Box",
            category="guidance/where",
            description="Puts an object of the prompt inside a box. " + HOW,
            search_aliases=("layout guidance", "boxdiff", "bounding box", "region"),
            inputs=[
                *opening_inputs(),
                share(
                    "left",
                    0.1,
                    "Left edge of the box: 0 is the left edge of the image, 1 its right edge.",
                ),
                share(
                    "top", 0.1, "Upper edge of the box: 0 is the top of the image, 1 its bottom."
                ),
                share(
                    "right",
                    0.5,
                    "Right edge of the box: 0 is the left edge of the image, 1 its right edge.",
                ),
                share(
                    "bottom", 0.5, "Lower edge of the box: 0 is the top of the image, 1 its bottom."
                ),
                io.Combo.Input(
                    "loss",
                    options=list(LOSSES),
                    default="layout",
                    tooltip="layout: draws all attention to the words into the box. boxdiff: "
                    "draws the strongest attention into the box, removes it outside, and "
                    "fits it to the box's edges.",
                ),
                *ending_inputs(),
                angle_input("box"),
                heads_input(
                    "mean: the box is for the mean of the attention heads. each: for every head "
                    "and token by itself, as in layout guidance; takes more memory. Not used with "
                    "boxdiff."
                ),
                keyframes_input(
                    "a box",
                    "its left, top, right and bottom edge",
                    "0: 0.1 0.1 0.4 0.4; 1: 0.6 0.1 0.9 0.4",
                ),
                advanced(time_input(optional=True)),
                backdrop_input(),
            ],
            outputs=outputs(),
        )

    @classmethod
    def validate_inputs(
        cls,
        left: float | None = None,
        top: float | None = None,
        right: float | None = None,
        bottom: float | None = None,
        keyframes: str | None = None,
    ) -> bool | str:
        """Refuse an empty box, or what is no keyframe, when the workflow is queued."""
        fault = fault_of(keyframes_of, keyframes or "")
        if fault is not None:
            return fault
        for low, high, names in ((left, right, "left < right"), (top, bottom, "top < bottom")):
            if low is not None and high is not None and low >= high:
                return f"the box is empty: expected {names}, got {low} and {high}: move its edges"
        return True

    @classmethod
    def execute(
        cls,
        tokens: Any,
        left: float,
        top: float,
        right: float,
        bottom: float,
        loss: str,
        weight: float,
        layers: str,
        angle: float = 0.0,
        heads: str = "mean",
        keyframes: str = "",
        time: str = TIMES[0],
        image: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        box = keyframes_of(keyframes) or (left, top, right, bottom)
        settings = (tokens, box, loss, layers_of(layers), angle, heads)
        energy = Box(*settings, batch_is_video=is_batch(time))
        return finished(energy, weight, None)
