"""Edits an image by editing its prompt: Prompt-to-Prompt."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..host.prompt_to_prompt import EDITS, Edit, edited
from ..inputs.sockets import Path, advanced, schema


class PromptToPrompt(io.ComfyNode):
    """Edits an image by editing its prompt: Prompt-to-Prompt."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGPromptToPrompt",
            display_name="Prompt-to-Prompt",
            category="guidance/edit",
            description="Edits an image by editing its prompt: a word swapped, words added, a word "
            "made stronger. What the rest of the prompt shows stays, because its attention does.",
            search_aliases=("p2p", "cross attention control", "local blend", "word swap"),
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="The diffusion model: a U-Net, or a transformer that looks at text "
                    "(SD3, FLUX, Qwen-Image, Z-Image, Wan, LTX); it is not changed.",
                ),
                io.Clip.Input("clip", tooltip="The text encoder of the model."),
                io.String.Input(
                    "source_prompt", multiline=True, tooltip="The prompt of the source image."
                ),
                io.String.Input(
                    "prompt",
                    multiline=True,
                    tooltip="The same prompt with the change in it; it is encoded here.",
                ),
                io.Combo.Input(
                    "edit",
                    options=list(EDITS),
                    default="replace",
                    tooltip="replace: each word takes the place of the word it stands for, in "
                    "prompts of as many words. refine: words of both prompts stay, new words find "
                    "their own place. For weights alone, write the same prompt twice.",
                ),
                cls._share(
                    "cross_end",
                    0.8,
                    "Until where words keep the places of the source, from 0 (never) to 1 (the "
                    "whole run): lower lets shapes change more.",
                ),
                cls._share(
                    "self_end",
                    0.4,
                    "Until where the image keeps the layout of the source by self-attention, from "
                    "0 (never) to 1: lower lets shapes change more.",
                ),
                advanced(
                    io.Int.Input(
                        "self_places",
                        default=1024,
                        min=0,
                        max=65536,
                        tooltip="Self-attention is kept in layers of at most as many places, 32 x "
                        "32 by default; 0 is all layers, which keeps textures too. In transformers "
                        "all layers have as many places, and all are kept.",
                    )
                ),
                io.String.Input(
                    "weights",
                    default="",
                    multiline=True,
                    tooltip="Words of the prompt made stronger or weaker, one per line: red: 2. "
                    "Below 1 is weaker, negative avoids the word.",
                ),
                io.String.Input(
                    "blend_words",
                    default="",
                    multiline=True,
                    tooltip="Words of either prompt, one per line or comma-separated: the image "
                    "changes only where they are, everywhere else it stays the source. Empty: it "
                    "may change everywhere.",
                ),
                io.Float.Input(
                    "blend_threshold",
                    default=0.3,
                    min=0.01,
                    max=0.99,
                    step=0.01,
                    tooltip="How much of the largest attention counts as the place of the blend "
                    "words: higher keeps more of the source.",
                ),
                advanced(
                    io.Float.Input(
                        "blend_start",
                        default=0.2,
                        min=0.0,
                        max=0.99,
                        step=0.01,
                        tooltip="Where the blend begins, from 0 (pure noise) to 1 (finished "
                        "image); attention is collected from the first step on.",
                    )
                ),
                Path.Input(
                    "path",
                    optional=True,
                    tooltip="From Invert, to edit an image that is given, or from Record "
                    "Reference. Without it the sampler first runs for the source, with the same "
                    "seed.",
                ),
            ],
            outputs=[
                io.Model.Output(tooltip="The model that edits, for any sampler."),
                io.Conditioning.Output(
                    display_name="positive", tooltip="The changed prompt, for the sampler."
                ),
            ],
        )

    @classmethod
    def _share(cls, name: str, default: float, tooltip: str) -> io.Input:
        return io.Float.Input(name, default=default, min=0.0, max=1.0, step=0.01, tooltip=tooltip)

    @classmethod
    def execute(
        cls,
        model: Any,
        clip: Any,
        source_prompt: str,
        prompt: str,
        edit: str,
        cross_end: float,
        self_end: float,
        self_places: int,
        weights: str,
        blend_words: str,
        blend_threshold: float,
        blend_start: float,
        path: Any = None,
    ) -> io.NodeOutput:
        """Patch a clone of the model."""
        ends = (cross_end, self_end, self_places)
        blend = (blend_words, blend_threshold, blend_start)
        wanted = Edit(source_prompt, prompt, edit, *ends, weights, *blend)
        return io.NodeOutput(*edited(model, clip, wanted, path))
