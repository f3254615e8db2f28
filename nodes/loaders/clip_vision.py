"""Uses a CLIP vision model of ComfyUI as guide network."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..host.clip_vision import VisionNetwork
from ..inputs.sockets import Network, schema


class GuideFromCLIPVision(io.ComfyNode):
    """Uses a CLIP vision model of ComfyUI as guide network."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Sockets."""
        return schema(
            "EGGuideFromCLIPVision",
            display_name="Guide from CLIP Vision",
            category="guidance/loaders",
            description="Uses a model of the clip_vision folder as guide network, for images and "
            "styles; it has no text encoder, so no sentences.",
            search_aliases=("clip vision", "ip-adapter", "image encoder", "guide network"),
            inputs=[
                io.ClipVision.Input(
                    "clip_vision",
                    tooltip="From Load CLIP Vision: a ViT-L, ViT-H or bigG, or SigLIP, whose "
                    "embedding is the mean of its patches; DINO is refused.",
                )
            ],
            outputs=[
                Network.Output(
                    display_name="network",
                    tooltip="For Energy: CLIP Image, Energy: Style and Energy: Image.",
                )
            ],
        )

    @classmethod
    def execute(cls, clip_vision: Any) -> io.NodeOutput:
        """Wrap the model."""
        return io.NodeOutput(VisionNetwork(clip_vision))
