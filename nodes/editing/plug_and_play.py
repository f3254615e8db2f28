"""Gives an image the content of another prompt and the structure of its source: Plug-and-Play."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..host.plug_and_play import plugged
from ..inputs.attention import layers_of
from ..inputs.sockets import Path, advanced, schema


class PlugAndPlay(io.ComfyNode):
    """Gives an image the content of another prompt and the structure of its source."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGPlugAndPlay",
            display_name="Plug-and-Play",
            category="guidance/edit",
            description="Shows another prompt in the structure of a source image: features and "
            "self-attention of the source are put in the place of the model's own.",
            search_aliases=("pnp", "feature injection", "self-attention injection"),
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="The diffusion model: a U-Net, or a transformer that looks at text "
                    "(SD3, FLUX, Qwen-Image, Z-Image, Wan, LTX); it is not changed.",
                ),
                io.Conditioning.Input(
                    "source", tooltip="The prompt that the path was made with; may be empty."
                ),
                Path.Input(
                    "path",
                    tooltip="The source: from Invert, of an image, or from Record Reference. "
                    "Sample with the steps and scheduler it was made with.",
                ),
                io.Float.Input(
                    "features_end",
                    default=0.8,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Until where features are the source's, from 0 (never) to 1 (the whole "
                    "run): higher keeps more of its structure.",
                ),
                io.Float.Input(
                    "attention_end",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Until where self-attention is the source's, from 0 (never) to 1: "
                    "higher keeps more of its layout.",
                ),
                advanced(
                    io.String.Input(
                        "layers",
                        default="default",
                        tooltip="Blocks whose features are given: default is the published one, "
                        "output.4 in SD 1 and 2; in transformers, where none is published, the "
                        "last of the middle third. Or names, separated by commas; a wrong name "
                        "gives an error that lists the right ones.",
                    )
                ),
            ],
            outputs=[io.Model.Output(tooltip="The patched model, for any sampler.")],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        source: Any,
        path: Any,
        features_end: float,
        attention_end: float,
        layers: str,
    ) -> io.NodeOutput:
        """Patch a clone of the model."""
        ends = (features_end, attention_end)
        return io.NodeOutput(plugged(model, source, path, *ends, layers_of(layers)))
