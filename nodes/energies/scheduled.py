"""One energy with a schedule of its own."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.scheduled import Scheduled
from ..inputs.sockets import Energy, Schedule, schema


class ScheduleEnergy(io.ComfyNode):
    """One energy with a schedule of its own."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGScheduleEnergy",
            display_name="Schedule Energy",
            category="guidance/energies",
            description="Gives one energy of a sum its own window and curve; outside the window "
            "it is not even computed.",
            search_aliases=("energy window", "timed energy"),
            inputs=[
                Energy.Input("energy", tooltip="The energy to time."),
                Schedule.Input("schedule", tooltip="When it counts, and how much."),
            ],
            outputs=[Energy.Output(display_name="energy", tooltip="The timed energy.")],
        )

    @classmethod
    def execute(cls, energy: Any, schedule: Any) -> io.NodeOutput:
        """Build the timed energy."""
        return io.NodeOutput(Scheduled(energy, schedule))
