"""Keeps colour and brightness the same along a video."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...guidance_core.energies.temporal import COMPARISONS, Temporal
from ..inputs.energy import OUTPUTS, closing_inputs, finished, normal
from ..inputs.frames import every_nth_input, is_batch, look_input, time_input
from ..inputs.sockets import schema


class EnergyTemporal(io.ComfyNode):
    """Keeps colour and brightness the same along a video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyTemporal",
            display_name="Energy: Temporal",
            category="guidance/restore",
            description="Keeps colour, brightness and contrast the same along a video: against "
            "colour drift and flicker. Movement is left alone.",
            search_aliases=("video", "color drift", "flicker", "consistency"),
            inputs=[
                io.Combo.Input(
                    "compare",
                    options=list(COMPARISONS),
                    default="mean",
                    tooltip="What a frame is compared with. mean: the mean of all frames. first: "
                    "the first frame, which stays as it is (image to video). previous: the frame "
                    "before it, against flicker rather than slow drift.",
                ),
                look_input(
                    "exact colours, every frame decoded at every step: choose decoder taesd or rgb."
                ),
                every_nth_input(),
                time_input(),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls,
        compare: str,
        look: str,
        every: int,
        time: str,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        area = None if mask is None else normal(mask)
        energy = Temporal(compare, look, every, area, batch_is_video=is_batch(time))
        return finished(energy, weight, None)
