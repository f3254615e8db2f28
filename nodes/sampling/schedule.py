"""Decides when guidance acts during sampling, and how strongly."""

from __future__ import annotations

from comfy_api.latest import io

from ...guidance_core.schedules import CURVES, PercentWindow, points_from
from ..inputs.sockets import Schedule, schema
from ..inputs.window import window_fault, window_inputs


def points_fault(text: str) -> str | None:
    """Why the text of points cannot be used; None if it can."""
    try:
        points_from(text)
    except ValueError as fault:
        return f"points: {fault}"
    return None


class ScheduleNode(io.ComfyNode):
    """Decides when guidance acts during sampling, and how strongly."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGSchedule",
            display_name="Guidance Schedule",
            category="guidance/advanced",
            description="Decides when guidance acts during sampling, and how its strength changes.",
            search_aliases=("guidance window", "start end percent", "strength curve"),
            inputs=[
                *window_inputs(),
                io.Combo.Input(
                    "curve",
                    options=list(CURVES),
                    default="constant",
                    tooltip="How the strength changes inside the window: constant, falling to 0 in "
                    "a straight line (linear_down), rising from 0 (linear_up), or falling like "
                    "half a cosine.",
                ),
                io.String.Input(
                    "points",
                    default="",
                    optional=True,
                    tooltip="A curve of your own: position:strength pairs such as 0:0, 0.3:1, "
                    "0.7:0.5, joined by straight lines, 0 outside. Empty: start_percent, "
                    "end_percent and curve decide.",
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
