"""The embedded demo model."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import shapes
from ..inputs.sockets import schema


class LoadShapes(io.ComfyNode):
    """The embedded demo model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGLoadShapes",
            display_name="Load Shapes (embedded demo model)",
            category="guidance/loaders",
            description="A small text-to-image model of flat scenes that comes with the pack: "
            "128x128 pixels, captions such as 'a big red circle and a small white square'. No "
            "download.",
            search_aliases=("demo model", "example checkpoint", "shapes"),
            inputs=[],
            outputs=[
                io.Model.Output(
                    tooltip="Diffusion model of Stable Diffusion's anatomy, for any sampler."
                ),
                io.Clip.Output(tooltip="Text encoder, for the ordinary CLIP Text Encode node."),
                io.Vae.Output(tooltip="Autoencoder: 128x128 pixels to 16x16 latents and back."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        """Load the three parts."""
        return io.NodeOutput(*shapes.load())
