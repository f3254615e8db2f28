"""Nodes that say when guidance acts."""

from __future__ import annotations

from comfy_api.latest import io

from ..guidance_core.points import parsed
from ..guidance_core.schedules import CURVES, PercentWindow
from .sockets import Schedule, schema

START_TIP = (
    "Where guidance begins, as a share of the model's noise schedule: 0 is pure noise. FreeDoM "
    "and MPGD begin at 0.3, Universal Guidance and TFG at 0."
)
END_TIP = (
    "Where guidance ends: 1 is the finished picture. Late guidance tends to burn texture in: "
    "FreeDoM and MPGD stop at 0.7, Universal Guidance and TFG go on to 1."
)


def window_inputs() -> list[io.Input]:
    """The two widgets of a window, with the defaults that were measured to obey without burning."""
    limits = {"min": 0.0, "max": 1.0, "step": 0.01}
    return [
        io.Float.Input("start_percent", default=0.0, tooltip=START_TIP, **limits),
        io.Float.Input("end_percent", default=0.7, tooltip=END_TIP, **limits),
    ]


def window_fault(start: float | None, end: float | None) -> str | None:
    """What is wrong with a window, if anything; None comes over a link, not known yet."""
    for name, value in (("start_percent", start), ("end_percent", end)):
        if value is not None and not 0.0 <= value <= 1.0:
            return (
                f"{name} must lie in [0, 1], got {value}: 0 is pure noise, 1 the finished picture"
            )
    if start is not None and end is not None and start >= end:
        return (
            f"start_percent must be smaller than end_percent, got {start} and {end}: raise "
            f"end_percent or lower start_percent (strength 0 switches guidance off)"
        )
    return None


def points_fault(text: str) -> str | None:
    """What is wrong with the text of points, if anything."""
    try:
        parsed(text)
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
            category="guidance/schedule",
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
            return io.NodeOutput(parsed(points))
        return io.NodeOutput(PercentWindow(start_percent, end_percent, curve))


NODES = [ScheduleNode]
