"""Nodes that say where words should be seen, and how much of the picture they take."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..guidance_core.energies.box import LOSSES, Box
from ..guidance_core.energies.position import Position
from ..guidance_core.energies.size import Size
from .attention_inputs import (
    CATEGORY,
    HOW,
    angle_input,
    ending_inputs,
    layers_of,
    opening_inputs,
    outputs,
    share,
)
from .sockets import Reference, advanced, schema
from .weighting import finished


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


class EnergyBox(io.ComfyNode):
    """Words that keep to a box."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyBox",
            display_name="Energy: Box",
            category=CATEGORY,
            description="Low where the model sees the words inside a box. " + HOW,
            search_aliases=("layout guidance", "boxdiff", "bounding box", "region"),
            inputs=[
                *opening_inputs(),
                share("left", 0.1, "Left edge of the box."),
                share("top", 0.1, "Upper edge of the box."),
                share("right", 0.5, "Right edge of the box."),
                share("bottom", 0.5, "Lower edge of the box."),
                io.Combo.Input(
                    "loss",
                    options=list(LOSSES),
                    default="layout",
                    tooltip="layout: the attention that is not in the box (layout guidance). "
                    "boxdiff: strongest cells in, none out, edges at the corners (BoxDiff).",
                ),
                *ending_inputs(),
                angle_input("box"),
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
    ) -> bool | str:
        """Refuse an empty box when the workflow is queued."""
        for low, high, names in ((left, right, "left < right"), (top, bottom, "top < bottom")):
            if low is not None and high is not None and low >= high:
                return f"the box is empty: need {names}, got {low} and {high}"
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
    ) -> io.NodeOutput:
        """Build the energy."""
        energy = Box(tokens, (left, top, right, bottom), loss, layers_of(layers), angle)
        return finished(energy, weight, None)


NODES = [EnergyPosition, EnergySize, EnergyBox]
