"""Gives one energy its own time window and curve."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.scheduled import Scheduled
from ..inputs.sockets import Energy, Schedule, schema


class ScheduleEnergy(io.ComfyNode):
    """Gives one energy its own time window and curve."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGScheduleEnergy",
            display_name="Schedule Energy",
            category="guidance/advanced",
            description="Gives one energy of a sum its own time window and curve. Outside "
            "the window the energy is not computed and costs nothing.",
            search_aliases=("energy window", "timed energy"),
            inputs=[
                Energy.Input("energy", tooltip="The energy that gets a schedule."),
                Schedule.Input(
                    "schedule",
                    tooltip="When the energy acts and how strongly, from Guidance Schedule.",
                ),
            ],
            outputs=[Energy.Output(display_name="energy", tooltip="The energy with its schedule.")],
        )

    @classmethod
    def execute(cls, energy: Any, schedule: Any) -> io.NodeOutput:
        """Build the energy with its schedule."""
        return io.NodeOutput(Scheduled(energy, schedule))
