"""Turns one image into another, frame by frame."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.procedures.morphing import check_pair
from ..host.displaced import displaced
from ..host.morph import Morph as Between
from ..host.morph import morphed
from ..host.samplers import Plan
from ..inputs.sampling import negative_input
from ..inputs.sockets import Network, Path, advanced, schema

# Measured on Shapes, see docs/stages.md.
DISPLACEMENT = 0.4


class Morph(io.ComfyNode):
    """Turns one image into another, frame by frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGMorph",
            display_name="Morph",
            category="guidance/edit",
            description="Turns one image into another, frame by frame, between their paths from "
            "Invert. What stands out moves, every frame is sampled, and frames are evenly apart "
            "to the eye.",
            search_aliases=("image morphing", "interpolation", "slerp", "diffmorpher", "tween"),
            inputs=[*cls._sockets(), *cls._widgets(), *cls._sampling(), *cls._optional()],
            outputs=[
                io.Image.Output(
                    display_name="images", tooltip="All frames, from the first image to the second."
                ),
                io.Latent.Output(display_name="latents", tooltip="The same frames as latents."),
                io.String.Output(
                    display_name="report",
                    tooltip="How even the frames are, and where on the way each of them is.",
                ),
            ],
        )

    @classmethod
    def _sockets(cls) -> list[io.Input]:
        return [
            io.Model.Input("model", tooltip="The diffusion model that inverted both images."),
            Path.Input("first_path", tooltip="From Invert: the image that the morph begins with."),
            Path.Input(
                "second_path",
                tooltip="From Invert: the image that it ends with, of the same size and inverted "
                "with the same steps, scheduler and denoise.",
            ),
            io.Conditioning.Input("first", tooltip="The prompt that the first was inverted with."),
            io.Conditioning.Input("second", tooltip="The prompt of the second image."),
            io.Vae.Input("vae", tooltip="Decodes the frames."),
        ]

    @classmethod
    def _widgets(cls) -> list[io.Input]:
        return [
            io.Int.Input(
                "frames",
                default=16,
                min=2,
                max=1000,
                tooltip="How many images come out, both ends among them.",
            ),
            io.Int.Input(
                "sampled",
                default=32,
                min=2,
                max=4000,
                tooltip="How many images are sampled, more of them where the image changes fast; "
                "the frames are chosen among them, so that they are evenly apart. As many as "
                "frames, or fewer, is no choice.",
            ),
            io.Float.Input(
                "attention",
                default=0.6,
                min=0.0,
                max=1.0,
                step=0.01,
                tooltip="Until where self-attention is blended of both images, from 0 (never) to 1 "
                "(the whole run): higher keeps both in sight. U-Nets only; 0 for other models.",
            ),
            io.Float.Input(
                "statistics",
                default=0.0,
                min=0.0,
                max=1.0,
                step=0.05,
                tooltip="How far brightness, contrast and tint of each frame are brought between "
                "those of both images, 0 to 1: 0 leaves them as they are sampled.",
            ),
        ]

    @classmethod
    def _sampling(cls) -> list[io.Input]:
        return [
            io.Float.Input(
                "cfg",
                default=1.0,
                min=0.0,
                max=100.0,
                step=0.1,
                round=0.01,
                tooltip="As in Invert, so that both ends are the images themselves. Anything but 1 "
                "needs the negative prompt.",
            ),
            advanced(
                io.Int.Input(
                    "batch",
                    default=8,
                    min=1,
                    max=256,
                    tooltip="How many images are sampled at once: fewer need less memory, the "
                    "frames stay the same.",
                )
            ),
        ]

    @classmethod
    def _optional(cls) -> list[io.Input]:
        return [
            negative_input(),
            Network.Input(
                "network",
                optional=True,
                tooltip="A CLIP, ViT or classifier that says how far apart frames look. Without "
                "it their colours do, coarse and fine.",
            ),
            advanced(
                io.Float.Input(
                    "displacement",
                    default=DISPLACEMENT,
                    min=0.0,
                    max=0.95,
                    step=0.05,
                    optional=True,
                    tooltip="Frames begin on the way down, after this part of the run, at an image "
                    "in which what stands out of the first has moved and turned into what stands "
                    "out of the second: higher follows that image more. 0: from noise alone, where "
                    "objects may jump.",
                )
            ),
        ]

    @classmethod
    def execute(
        cls,
        model: Any,
        first_path: Any,
        second_path: Any,
        first: Any,
        second: Any,
        vae: Any,
        frames: int,
        sampled: int,
        attention: float,
        statistics: float,
        cfg: float,
        batch: int,
        negative: Any = None,
        network: Any = None,
        displacement: float = DISPLACEMENT,
    ) -> io.NodeOutput:
        """Sample the frames."""
        plan = Plan.along(first_path, model, first, negative, cfg)
        paths, prompts = (first_path, second_path), (first, second)
        check_pair(*paths)
        start = displaced(plan, paths, displacement, vae) if displacement else None
        way = Between(plan, paths, prompts, attention, statistics, batch, start)
        images, latents, report = morphed(way, vae, network, frames, sampled)
        return io.NodeOutput(images, {"samples": latents}, report)
