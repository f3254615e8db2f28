"""Enlarges an image by stages, each held to the one before."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..host import samplers
from ..host.cascade import Cascade as Stages
from ..host.cascade import enlarged
from ..inputs.energy import channels_first
from ..inputs.sampling import sampler_inputs, seed_input
from ..inputs.sockets import advanced, schema


class Cascade(io.ComfyNode):
    """Enlarges an image by stages, each held to the one before."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGCascade",
            display_name="Super-resolve (Stages)",
            category="guidance/restore",
            description="Enlarges an image by stages: each is twice as large, drawn by the model "
            "in overlapping tiles of the size that it knows, and, shrunk again, equals the stage "
            "before.",
            search_aliases=(
                "super resolution",
                "super-resolve by stages",
                "upscale",
                "cascade",
                "tiled diffusion",
                "hires",
            ),
            inputs=[*cls._sockets(), *cls._sizes(), *cls._sampling()],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The last stage."),
                io.String.Output(
                    display_name="report",
                    tooltip="How well each stage, shrunk again, equals the image, in dB; above 40 "
                    "there is no difference to see.",
                ),
            ],
        )

    @classmethod
    def _sockets(cls) -> list[io.Input]:
        return [
            io.Model.Input("model", tooltip="The diffusion model, guided or not."),
            io.Conditioning.Input(
                "positive",
                tooltip="A prompt of what is seen everywhere; it may be empty. Each tile is drawn "
                "by the same prompt.",
            ),
            io.Conditioning.Input("negative", tooltip="What no place of the image should show."),
            io.Vae.Input("vae", tooltip="The model's own VAE."),
            io.Image.Input("image", tooltip="The image to enlarge."),
        ]

    @classmethod
    def _sizes(cls) -> list[io.Input]:
        return [
            io.Int.Input(
                "stages",
                default=2,
                min=1,
                max=5,
                tooltip="How often the size is doubled: 2 enlarges four times.",
            ),
            io.Int.Input(
                "tile",
                default=512,
                min=64,
                max=4096,
                step=8,
                tooltip="The size in pixels that the model was trained on: 128 for Shapes, 512 for "
                "SD 1.5, 1024 for SDXL. Larger stages are drawn in tiles of it; an image whose "
                "first stage is smaller is refused.",
            ),
            io.Float.Input(
                "overlap",
                default=0.25,
                min=0.0,
                max=0.9,
                step=0.05,
                tooltip="How much neighbouring tiles share, as a fraction of a tile: more blends "
                "better and takes longer.",
            ),
        ]

    @classmethod
    def _sampling(cls) -> list[io.Input]:
        return [
            seed_input("Seed of the noise; each stage takes the next one."),
            *sampler_inputs(),
            io.Float.Input(
                "denoise",
                default=0.3,
                min=0.01,
                max=1.0,
                step=0.01,
                tooltip="How much of the enlarged image is drawn anew, 0 to 1: higher adds more "
                "detail, and things that were not there.",
            ),
            io.Float.Input(
                "strength",
                default=1.0,
                min=0.0,
                max=100.0,
                step=0.05,
                tooltip="How firmly each stage is held to the one before, by Polyak's steps at the "
                "estimate. 0 lets it go: nothing is measured.",
            ),
            advanced(
                io.Boolean.Input(
                    "exact",
                    default=True,
                    tooltip="Take what is left of the difference off each square of pixels, which "
                    "a latent cannot show.",
                )
            ),
        ]

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        negative: Any,
        vae: Any,
        image: Any,
        stages: int,
        tile: int,
        overlap: float,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        denoise: float,
        strength: float,
        exact: bool,
    ) -> io.NodeOutput:
        """Sample all stages."""
        widgets = (steps, cfg, sampler_name, scheduler, denoise)
        plan = samplers.plan_of(model, positive, negative, *widgets)
        how = Stages(plan, vae, sampler_name, tile, overlap, strength, exact)
        found, report = enlarged(how, channels_first(image), stages, seed)
        return io.NodeOutput(found.movedim(1, -1), report)
