"""Changes what a prompt asks for from one thing to another: Pix2Pix-Zero."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.procedures.sentences import parse
from ..host import edit_directions
from ..inputs.energy import fault_of
from ..inputs.sentences import AS_WRITTEN, OWN, choices, spelled_out
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
                    "prompt. With sentences made from templates: the word alone, such as cat.",
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
                io.Combo.Input(
                    "sentences",
                    options=choices(),
                    default=AS_WRITTEN,
                    optional=True,
                    tooltip="Where the sentences come from. as written: source and target hold "
                    "them. by word: source and target hold words, and the set of sentences that "
                    "knows most of them is taken (thing, if none does). A kind: its set. own "
                    "templates: those of templates.",
                ),
                io.String.Input(
                    "templates",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="Sentences for own templates, one per line, with {} in place of the "
                    "word: a photo of a {}. Best built like the prompt.",
                ),
            ],
            outputs=[io.Conditioning.Output(tooltip="The changed conditioning.")],
        )

    @classmethod
    def validate_inputs(
        cls, sentences: str | None = None, templates: str | None = None
    ) -> bool | str:
        """Refuse own templates without a place for the word when the workflow is queued."""
        if sentences != OWN or templates is None:
            return True
        return fault_of(parse, templates) or True

    @classmethod
    def execute(
        cls,
        clip: Any,
        conditioning: Any,
        source: str,
        target: str,
        strength: float,
        sentences: str = AS_WRITTEN,
        templates: str = "",
    ) -> io.NodeOutput:
        """Change the conditioning."""
        there, wanted = spelled_out(source, target, sentences, templates)
        return io.NodeOutput(edit_directions.edited(clip, conditioning, there, wanted, strength))
