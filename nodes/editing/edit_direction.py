"""Pix2Pix-Zero's edit direction on a CONDITIONING."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..host import edit_directions
from ..inputs.sockets import schema


class EditDirection(io.ComfyNode):
    """Pix2Pix-Zero's edit direction on a CONDITIONING."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEditDirection",
            display_name="Edit Direction",
            category="guidance/editing",
            description="Moves a conditioning from one word towards another: by the mean text "
            "embedding of sentences with the one, less that of sentences with the other "
            "(Pix2Pix-Zero).",
            search_aliases=("pix2pix-zero", "cat to dog", "embedding difference"),
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder of the conditioning."),
                io.Conditioning.Input(
                    "conditioning", tooltip="The prompt that describes the source picture."
                ),
                io.String.Input(
                    "source",
                    multiline=True,
                    tooltip="Sentences with what is there, one a line. Pix2Pix-Zero used a "
                    "thousand; sentences built like the prompt work with a handful.",
                ),
                io.String.Input(
                    "target",
                    multiline=True,
                    tooltip="Sentences with what it should become, one a line, as many or not.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.05,
                    tooltip="How far to go; 1, as in Pix2Pix-Zero, is the whole way, negative "
                    "goes the other way.",
                ),
            ],
            outputs=[io.Conditioning.Output(tooltip="The moved conditioning.")],
        )

    @classmethod
    def execute(
        cls, clip: Any, conditioning: Any, source: str, target: str, strength: float
    ) -> io.NodeOutput:
        """Move the conditioning."""
        return io.NodeOutput(edit_directions.edited(clip, conditioning, source, target, strength))
