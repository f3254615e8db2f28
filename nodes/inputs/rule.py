"""Widgets that rules share, and when rules act without a schedule."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.gradients import LOOK_AT, LOOKS
from ...guidance_core.schedules import EveryNth, PercentWindow, Scaled, WhenMoved
from .sockets import Energy, Schedule, advanced

# Late guidance mostly adds adversarial texture; the shape is settled by then.
DEFAULT_WINDOW = PercentWindow(0.0, 0.7)
# A measurement is to be met to the last.
WHOLE_WINDOW = PercentWindow(0.0, 1.0)
# Places are settled earlier still.
EARLY_WINDOW = PercentWindow(0.0, 0.5)
ONE_STEP_TIP = (
    "a sampler with one model evaluation per step (euler, ddim, ddpm, euler_ancestral, lcm); "
    "others are refused."
)
SCHEDULE_TIP = (
    "When the rule acts and how strongly, from Guidance Schedule. Without one: constant over "
    "the first 70 % of the noise schedule."
)


def shared_inputs(strength_tip: str, scales: list[str], scale_tip: str) -> list[io.Input]:
    """The first inputs of every rule."""
    return [
        Energy.Input(
            "energy",
            tooltip="What the image should become; several energies come from Combine Energies.",
        ),
        io.Float.Input(
            "strength", default=0.5, min=0.0, max=100000.0, step=0.05, tooltip=strength_tip
        ),
        io.Combo.Input("scale", options=scales, default="relative", tooltip=scale_tip),
    ]


def stop_input() -> io.Input:
    """The energy below which a rule has no effect."""
    return advanced(
        io.Float.Input(
            "stop",
            default=0.0,
            min=0.0,
            max=1000.0,
            step=0.00001,
            round=0.00001,
            tooltip="Energy at which an image counts as done: steps get smaller from twice "
            "this value on. Higher stops earlier, 0 never stops. Plot Guidance Trace shows "
            "the values that the energy takes.",
        )
    )


def schedule_input() -> io.Input:
    """When a rule acts."""
    return Schedule.Input("schedule", optional=True, tooltip=SCHEDULE_TIP)


def look_input() -> io.Input:
    """What an energy looks at above CFG 1."""
    return advanced(
        io.Combo.Input(
            "look_at",
            options=list(LOOKS),
            default=LOOK_AT,
            optional=True,
            tooltip="What the energy sees where CFG is above 1. positive: the estimate of the "
            "positive prompt alone, an image that the model believes in; sentences obey more that "
            "way, labels as much. cfg: the result of CFG. "
            "both: the result of CFG with its exact gradient, which needs twice the memory and "
            "time for the gradient. At CFG 1 all are the same.",
        )
    )


def every_input(*, optional: bool = True) -> io.Input:
    """At which steps a rule acts; optional, because workflows of earlier versions lack it."""
    return advanced(
        io.Int.Input(
            "every",
            default=1,
            min=1,
            max=100,
            optional=optional,
            tooltip="Acts at every n-th step only, from the first of the schedule on: 1 is every "
            "step, 2 every other. Higher is cheaper and weaker; the steps between cost what they "
            "cost without guidance.",
        )
    )


def moved_input() -> io.Input:
    """Whether a rule acts only where the estimate has moved."""
    return advanced(
        io.Float.Input(
            "moved",
            default=0.0,
            min=0.0,
            max=10.0,
            step=0.05,
            optional=True,
            tooltip="Acts only where the clean estimate has moved since the last gradient, by this "
            "share of its estimated uncertainty: 0 acts at every step, 0.2 at about every other. "
            "Higher is cheaper and weaker: a step without a gradient is neither decoded nor shown "
            "to the guide network.",
        )
    )


def depth_input() -> io.Input:
    """How much of the model a gradient goes through."""
    return advanced(
        io.Float.Input(
            "depth",
            default=1.0,
            min=0.05,
            max=1.0,
            step=0.05,
            optional=True,
            tooltip="Share of the model's blocks that the gradient goes through, from those next "
            "to its output on. 1 is the whole model; lower costs less time and memory, and the "
            "direction is less exact.",
        )
    )


def timed(strength: float, schedule: Any, every: int = 1, moved: float = 0.0) -> Scaled:
    """The strength at each noise level."""
    when = DEFAULT_WINDOW if schedule is None else schedule
    when = when if every == 1 else EveryNth(when, every)
    return Scaled(WhenMoved(when, moved) if moved else when, strength)
