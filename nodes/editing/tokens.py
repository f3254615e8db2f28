"""Selects words of the prompt for energies of attention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ...guidance_core.captures import MAPS
from ..host.browser.note import note
from ..host.browser.words import remember
from ..host.reading.words import find_words, in_context
from ..inputs.prompt_fault import prompt_fault
from ..inputs.sockets import Tokens as TokensSocket
from ..inputs.sockets import advanced, schema


class Tokens(io.ComfyNode):
    """Selects words of the prompt for energies of attention."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGTokens",
            display_name="Prompt Words",
            category="guidance/where",
            description="Selects words of the prompt, so that energies can move, keep or "
            "change what they stand for. Finds them with the tokenizer of the text encoder.",
            search_aliases=("tokens", "attention words", "token index"),
            inputs=[
                io.Clip.Input(
                    "clip",
                    tooltip="The text encoder that encodes the prompt.",
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
                advanced(
                    io.Combo.Input(
                        "map",
                        options=list(MAPS),
                        default="attention",
                        optional=True,
                        tooltip="What shows where a word is. attention: how much of its attention "
                        "each place of the image gives to the word, in every model. concept: how "
                        "alike place and word are after attention, as ConceptAttention does it, "
                        "which finds objects better in models such as FLUX, SD3, Qwen-Image and "
                        "Z-Image; models of cross-attention (U-Nets, Wan, LTX) have none.",
                    )
                ),
            ],
            outputs=[
                TokensSocket.Output(
                    display_name="tokens", tooltip="The words and their places in the prompt."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, prompt: str | None = None) -> bool | str:
        """Refuse words of a prompt that the sampler does not get, when the workflow is queued."""
        return prompt_fault() or True

    @classmethod
    def execute(cls, clip: Any, prompt: str, words: str, map: str = "attention") -> io.NodeOutput:
        """Resolve the words."""
        remember(clip, prompt)
        found = tuple(replace(word, map=map) for word in find_words(clip, prompt, words))
        places = lambda word: ", ".join(str(position) for position in word.positions)
        note("\n".join(f"{word.text}: {places(word)}" for word in found))
        return io.NodeOutput(in_context(clip, prompt, found))
