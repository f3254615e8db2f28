"""Selects words of the prompt for energies of attention."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..host.browser.note import note
from ..host.browser.words import remember
from ..host.reading.words import find_words, in_context
from ..inputs.sockets import Tokens as TokensSocket
from ..inputs.sockets import schema


class Tokens(io.ComfyNode):
    """Selects words of the prompt for energies of attention."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGTokens",
            display_name="Prompt Words",
            category="guidance/editing",
            description="Selects words of the prompt, so that energies can move, keep or "
            "change what they stand for. Finds them with the tokenizer of the text encoder.",
            search_aliases=("tokens", "attention words", "token index"),
            inputs=[
                io.Clip.Input(
                    "clip",
                    tooltip="The text encoder that encodes the prompt: of SD 1 and 2, SDXL, SD3 or "
                    "Flux, or a single CLIP or T5.",
                ),
                io.String.Input(
                    "prompt",
                    multiline=True,
                    tooltip="Exactly the text of the positive prompt, weights and brackets "
                    "included. Best connect one text node to both.",
                ),
                io.String.Input(
                    "words",
                    multiline=True,
                    tooltip="Words or phrases of the prompt, one per line or "
                    "comma-separated. A word that occurs several times means all its places; "
                    "circle#2 is the second alone.",
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
        remember(clip, prompt)
        found = find_words(clip, prompt, words)
        places = lambda word: ", ".join(map(str, word.positions))
        note("\n".join(f"{word.text}: {places(word)}" for word in found))
        return io.NodeOutput(in_context(clip, prompt, found))
