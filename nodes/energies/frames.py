"""Chooses the frames of a video that an energy looks at."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.energies.frames import CHOICES, Frames
from ..inputs.faults import image_fault
from ..inputs.frames import is_batch, time_input
from ..inputs.sockets import Energy, schema


class FramesOfVideo(io.ComfyNode):
    """Chooses the frames of a video that an energy looks at."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGFrames",
            display_name="Choose Frames",
            category="guidance/advanced",
            description="Chooses the frames of a video that an energy of the image looks at. They "
            "are decoded one by one, so that more take time, not memory. Without this node one "
            "frame is looked at per step, another one each time.",
            search_aliases=("video", "first frame", "last frame", "keyframes"),
            inputs=[
                Energy.Input(
                    "energy",
                    tooltip="What is asked of each frame; it must look at the image. Energies of "
                    "attention see all frames anyway.",
                ),
                io.Combo.Input(
                    "frames",
                    options=list(CHOICES),
                    default="every",
                    tooltip="Which latent frames are looked at. first and last: of the video. "
                    "every: each n-th from the first on. random: one per step, another one each "
                    "time. Each is decoded by the frames around it; of the images that it holds, "
                    "the last is looked at.",
                ),
                io.Int.Input(
                    "n",
                    default=4,
                    min=1,
                    max=1000,
                    tooltip="With every: distance of the frames; 1 looks at all of them. Each one "
                    "costs one decoding and one evaluation of the energy.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    tooltip="With random: seed of the draw, so that a workflow always gives the "
                    "same video.",
                ),
                time_input(),
            ],
            outputs=[
                Energy.Output(display_name="energy", tooltip="The mean energy of these frames.")
            ],
        )

    @classmethod
    def validate_inputs(cls, energy: None = None) -> bool | str:
        """Refuse an energy that looks inside the model when the workflow is queued."""
        return image_fault("energy") or True

    @classmethod
    def execute(cls, energy: Any, frames: str, n: int, seed: int, time: str) -> io.NodeOutput:
        """Build the energy of the frames."""
        return io.NodeOutput(Frames(energy, frames, n, seed, batch_is_video=is_batch(time)))
