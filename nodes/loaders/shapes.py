"""Loads the embedded demo model."""

from __future__ import annotations

from comfy_api.latest import io

from ..host import shapes
from ..inputs.sockets import schema


class LoadShapes(io.ComfyNode):
    """Loads the embedded demo model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGLoadShapes",
            display_name="Load Shapes",
            category="guidance/loaders",
            description="Loads the small text-to-image model of this pack, without a download: "
            "images of simple shapes, 128x128 pixels, with prompts such as 'a big red circle and a "
            "small white square'.",
            search_aliases=(
                "demo model",
                "embedded model",
                "example checkpoint",
                "shapes",
                "turbo",
                "few steps",
                "flow matching",
                "flux",
                "joint attention",
                "mmdit",
            ),
            inputs=[
                io.Combo.Input(
                    "lora",
                    options=[shapes.NO_LORA, shapes.TURBO, shapes.THREE_OBJECTS],
                    default=shapes.NO_LORA,
                    optional=True,
                    tooltip="A LoRA of the pack, loaded into the model. turbo: 4 to 8 steps of "
                    "the sampler lcm with the scheduler sgm_uniform at CFG 1, instead of 20 steps. "
                    "three_objects: scenes of three objects.",
                ),
                io.Combo.Input(
                    "sampling",
                    options=[shapes.EPS, shapes.FLOW],
                    default=shapes.EPS,
                    optional=True,
                    tooltip="eps: as it was trained, like Stable Diffusion. flow: the same network "
                    "in the coordinates of flow models such as SD3 and FLUX, without any training; "
                    "for what only flow models do, and to try it. Of the U-Net; the transformer is "
                    "a flow model.",
                ),
                io.Combo.Input(
                    "network",
                    options=[shapes.UNET, shapes.TRANSFORMER],
                    default=shapes.UNET,
                    optional=True,
                    tooltip="unet: built like Stable Diffusion 1. transformer: built like FLUX, "
                    "with joint attention of text and image, and taught by the U-Net at CFG 4; it "
                    "is used with CFG 1, without a LoRA.",
                ),
            ],
            outputs=[
                io.Model.Output(tooltip="The diffusion model, for any sampler."),
                io.Clip.Output(tooltip="The text encoder, for the stock CLIP Text Encode node."),
                io.Vae.Output(tooltip="The autoencoder: 128x128 pixels to 16x16 latents and back."),
            ],
        )

    @classmethod
    def execute(
        cls,
        lora: str = shapes.NO_LORA,
        sampling: str = shapes.EPS,
        network: str = shapes.UNET,
    ) -> io.NodeOutput:
        """Load the three parts."""
        return io.NodeOutput(*shapes.load(lora=lora, sampling=sampling, network=network))
