"""Makes a video end where it begins."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...guidance_core.energies.loop import Loop
from ..inputs.energy import OUTPUTS, closing_inputs, finished, normal
from ..inputs.frames import is_batch, look_input, time_input
from ..inputs.sockets import schema


class EnergyLoop(io.ComfyNode):
    """Makes a video end where it begins."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyLoop",
            display_name="Energy: Loop",
            category="guidance/what",
            description="Makes the last frame of a video like the first, so that it can be played "
            "in a loop. Drop the last image when you play it.",
            search_aliases=("video", "looping", "seamless loop", "gif"),
            inputs=[
                look_input("the first and the last image, decoded at every step."),
                time_input(),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls, look: str, time: str, weight: float, mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """Build the energy."""
        area = None if mask is None else normal(mask)
        return finished(Loop(look, area, batch_is_video=is_batch(time)), weight, None)
