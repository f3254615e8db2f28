"""A window of the sampling run, and the curve of the strength inside it."""

from __future__ import annotations

from comfy_api.latest import io

from ...guidance_core.schedules import CURVES, PercentWindow, points_from
from ..inputs.sockets import Schedule, schema
from ..inputs.window import window_fault, window_inputs


def points_fault(text: str) -> str | None:
    """What is wrong with the text of points, if anything."""
    try:
        points_from(text)
    except ValueError as fault:
        return f"points: {fault}"
    return None


class ScheduleNode(io.ComfyNode):
    """A window of the sampling run, and the curve of the strength inside it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGSchedule",
            display_name="Guidance Schedule",
            category="guidance/sampling",
            description="When guidance acts, and how its strength changes on the way.",
            search_aliases=("guidance window", "start end percent", "strength curve"),
            inputs=[
                *window_inputs(),
                io.Combo.Input(
                    "curve",
                    options=list(CURVES),
                    default="constant",
                    tooltip="How the strength changes inside the window: constant (Universal "
                    "Guidance, FreeDoM, MPGD), falling to 0 or rising from 0 in a straight line "
                    "(TFG found a rising one best), or falling like a half cosine.",
                ),
                io.String.Input(
                    "points",
                    default="",
                    optional=True,
                    tooltip="A curve of your own instead: position:strength pairs such as "
                    "0:0, 0.3:1, 0.7:0.5, joined by straight lines, 0 outside them. Empty: start, "
                    "end and curve above rule, as in the papers.",
                ),
            ],
            outputs=[
                Schedule.Output(
                    display_name="schedule", tooltip="For a rule, or for one energy of a sum."
                )
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        start_percent: float | None = None,
        end_percent: float | None = None,
        points: str | None = None,
    ) -> bool | str:
        """Refuse an impossible window or malformed points when the workflow is queued."""
        if points and points.strip():
            return points_fault(points) or True
        return window_fault(start_percent, end_percent) or True

    @classmethod
    def execute(
        cls, start_percent: float, end_percent: float, curve: str, points: str = ""
    ) -> io.NodeOutput:
        """Build the schedule."""
        if points.strip():
            return io.NodeOutput(points_from(points))
        return io.NodeOutput(PercentWindow(start_percent, end_percent, curve))
