"""Edits an image by a direction in the middle of the model: Asyrp."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..host import hspace
from ..inputs.sockets import Direction, schema


class HSpaceEdit(io.ComfyNode):
    """Edits an image by a direction in the middle of the model: Asyrp."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGHSpaceEdit",
            display_name="h-space Edit",
            category="guidance/edit",
            description="Edits what the model makes of a noise, with the prompt unchanged: a "
            "direction is added in the middle block of its U-Net. Several in a row add up.",
            search_aliases=("asyrp", "semantic direction", "bottleneck", "concept slider"),
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model, a U-Net; it is not changed."),
                Direction.Input("direction", tooltip="From Find h-space Direction."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-20.0,
                    max=20.0,
                    step=0.05,
                    tooltip="How far along the direction: 1 is as far as it was found, higher "
                    "exaggerates, negative goes the opposite way, 0 changes nothing.",
                ),
                io.Float.Input(
                    "edit_end",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Until where the edit acts, from 0 (pure noise) to 1 (finished image): "
                    "earlier changes less of the details. Each step inside costs a second pass "
                    "through the model's decoder.",
                ),
                io.Float.Input(
                    "boost_start",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="From where noise is put back into each step, which cleans up what an "
                    "edit leaves behind; 1 is never. For euler and ddim.",
                ),
                io.Float.Input(
                    "edit_start",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="From where the edit acts, from 0 (pure noise) to 1: later keeps the "
                    "layout, which the first steps decide.",
                ),
            ],
            outputs=[
                io.Model.Output(
                    tooltip="The edited model, for euler, ddim and other samplers of one "
                    "evaluation a step."
                )
            ],
        )

    @classmethod
    def validate_inputs(
        cls, edit_end: float | None = None, edit_start: float | None = None
    ) -> bool | str:
        """Refuse an empty window when the workflow is queued."""
        if edit_end is None or edit_start is None or edit_end == 0 or edit_start < edit_end:
            return True
        return (
            f"edit_start must be smaller than edit_end, got {edit_start} and {edit_end}: raise "
            "edit_end or lower edit_start (strength 0 switches the edit off)"
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        direction: Any,
        strength: float,
        edit_end: float,
        boost_start: float,
        edit_start: float = 0.0,
    ) -> io.NodeOutput:
        """Patch a clone of the model."""
        widgets = (strength, edit_end, boost_start, edit_start)
        return io.NodeOutput(hspace.edited(model, direction, *widgets))
