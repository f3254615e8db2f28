"""Changes what a prompt asks for from one thing to another: Pix2Pix-Zero."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..host import edit_directions
from ..inputs.sockets import schema


class EditDirection(io.ComfyNode):
    """Changes what a prompt asks for from one thing to another: Pix2Pix-Zero."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEditDirection",
            display_name="Edit Direction",
            category="guidance/edit",
            description="Changes what a prompt asks for from one thing to another, such as a "
            "cat to a dog, by the mean difference between two lists of sentences.",
            search_aliases=("pix2pix-zero", "cat to dog", "embedding difference"),
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder that made the conditioning."),
                io.Conditioning.Input(
                    "conditioning", tooltip="The prompt that describes the source image."
                ),
                io.String.Input(
                    "source",
                    multiline=True,
                    tooltip="Sentences with the thing that is there, one per line. More make "
                    "the change cleaner; a handful is enough if they are built like the "
                    "prompt.",
                ),
                io.String.Input(
                    "target",
                    multiline=True,
                    tooltip="Sentences with the thing it should become, one per line; not "
                    "necessarily as many.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.05,
                    tooltip="How far the prompt changes: 1 is all the way, lower mixes the "
                    "two, higher exaggerates, negative goes the opposite way.",
                ),
            ],
            outputs=[io.Conditioning.Output(tooltip="The changed conditioning.")],
        )

    @classmethod
    def execute(
        cls, clip: Any, conditioning: Any, source: str, target: str, strength: float
    ) -> io.NodeOutput:
        """Change the conditioning."""
        return io.NodeOutput(edit_directions.edited(clip, conditioning, source, target, strength))
