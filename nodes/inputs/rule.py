"""Widgets that rules share, and when rules act without a schedule."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.schedules import PercentWindow, Scaled
from .sockets import Energy, Schedule, advanced

# Late guidance mostly adds adversarial texture; the shape is settled by then.
DEFAULT_WINDOW = PercentWindow(0.0, 0.7)
# A measurement is to be met to the last.
WHOLE_WINDOW = PercentWindow(0.0, 1.0)
# Places are settled earlier still.
EARLY_WINDOW = PercentWindow(0.0, 0.5)
ONE_STEP_TIP = (
    "It is placed behind the sampler's step, as published, and so needs a sampler of one "
    "evaluation a step: euler, ddim, ddpm, euler_ancestral; others are refused."
)
SCHEDULE_TIP = (
    "When the rule acts. Without one: constant over the first 70 % of the noise schedule. FreeDoM "
    "and MPGD used 0.3 to 0.7, Universal Guidance all of it."
)


def shared_inputs(strength_tip: str, scales: list[str], scale_tip: str) -> list[io.Input]:
    """What every rule begins with."""
    return [
        Energy.Input("energy", tooltip="What the picture should be."),
        io.Float.Input(
            "strength", default=0.5, min=0.0, max=100000.0, step=0.05, tooltip=strength_tip
        ),
        io.Combo.Input("scale", options=scales, default="relative", tooltip=scale_tip),
    ]


def stop_input() -> io.Input:
    """The energy at which a rule is content."""
    return advanced(
        io.Float.Input(
            "stop",
            default=0.0,
            min=0.0,
            max=1000.0,
            step=0.00001,
            round=0.00001,
            tooltip="Energy at which a picture counts as done: its push fades from twice this "
            "value on. 0 never stops. Universal Guidance stopped its backward steps at 0.00001.",
        )
    )


def schedule_input() -> io.Input:
    """When a rule acts."""
    return Schedule.Input("schedule", optional=True, tooltip=SCHEDULE_TIP)


def timed(strength: float, schedule: Any) -> Scaled:
    """The strength over the run."""
    return Scaled(DEFAULT_WINDOW if schedule is None else schedule, strength)
