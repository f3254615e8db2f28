"""Nodes about words: where they stand in a prompt, and which way leads from one to another."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .host import directions, tokens
from .host import words as seen
from .host.note import note
from .sockets import Tokens as TokensSocket
from .sockets import schema


class Tokens(io.ComfyNode):
    """Words of a prompt, for energies of attention."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGTokens",
            display_name="Prompt Words",
            category="guidance/editing",
            description="Finds words in a prompt with the text encoder's own tokenizer, for "
            "energies that look at the attention to them.",
            search_aliases=("tokens", "attention words", "token index"),
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder that the prompt is encoded with."),
                io.String.Input(
                    "prompt",
                    multiline=True,
                    tooltip="The very text of the positive prompt, weights and brackets included. "
                    "Best fed from one text node into both.",
                ),
                io.String.Input(
                    "words",
                    multiline=True,
                    tooltip="Words or phrases of the prompt, one a line or parted by commas. A "
                    "word that occurs more than once means every place; circle#2 is the second "
                    "alone. Self-Guidance and Attend-and-Excite choose the nouns.",
                ),
            ],
            outputs=[
                TokensSocket.Output(
                    display_name="tokens", tooltip="The words and their places in the prompt."
                )
            ],
        )

    @classmethod
    def execute(cls, clip: Any, prompt: str, words: str) -> io.NodeOutput:
        """Resolve the words."""
        seen.remember(clip, prompt)
        found = tokens.resolved(clip, prompt, words)
        places = lambda word: ", ".join(map(str, word.positions))
        note("\n".join(f"{word.text}: {places(word)}" for word in found))
        return io.NodeOutput(found)


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
        return io.NodeOutput(directions.edited(clip, conditioning, source, target, strength))


NODES = [Tokens, EditDirection]
