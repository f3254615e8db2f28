"""Fits a small decoder to a VAE, so that guiding by the image costs little more than a step."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from comfy_api.latest import io, ui

from ..host import fit_decoder, samplers
from ..host.fitting_order import PARTS, Order
from ..host.kept import workflow_key
from ..inputs.sampling import first_seed_input, sampler_inputs
from ..inputs.sockets import advanced, schema


class FitFastDecoder(io.ComfyNode):
    """Fits a small decoder to a VAE, so that guiding by the image costs little more than a step."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGFitFastDecoder",
            display_name="Fit Fast Decoder",
            category="guidance/advanced",
            description="Fits a small decoder to the VAE on this machine, for guidance that looks "
            "at the image: decoder auto and fitted find its file. It learns from what the VAE "
            "makes of the model's own estimates. After a stop, the next run continues.",
            search_aliases=("taesd", "tiny decoder", "distill vae", "faster guidance"),
            is_output_node=True,
            inputs=[*cls._sampling_inputs(), *cls._fitting_inputs(), *cls._size_inputs()],
            outputs=[
                io.String.Output(
                    display_name="file", tooltip="Name of the file in models/vae_approx."
                ),
                io.Float.Output(
                    display_name="psnr",
                    tooltip="How near its images are to those of the VAE, in dB, on estimates that "
                    "it was not fitted to: 30 is near, 25 is rough.",
                ),
                io.Image.Output(
                    display_name="comparison",
                    tooltip="Four of these estimates, noisy ones first: the VAE above, the fast "
                    "decoder below.",
                ),
            ],
            # The workflow says which decoder this is, so that another one does not take its work.
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
        )

    @classmethod
    def _sampling_inputs(cls) -> list[io.Input]:
        return [
            io.Model.Input("model", tooltip="The diffusion model whose estimates are decoded."),
            io.Conditioning.Input(
                "positive", tooltip="A prompt of what you make; it may be empty."
            ),
            io.Conditioning.Input("negative", tooltip="What the image should not show."),
            io.Vae.Input("vae", tooltip="The model's own VAE, which the decoder will stand for."),
            io.Latent.Input(
                "latent_image",
                tooltip="An empty latent of the size that you use, or images of your own through "
                "VAE Encode: the runs then start from them at one noise level after the other.",
            ),
            first_seed_input(),
            io.Int.Input(
                "runs",
                default=16,
                min=1,
                max=1000,
                tooltip="How many times the latent is sampled: every step of each image is one "
                "example. 300 examples are few, 1000 are good; at 1024 pixels each takes 3 MB of "
                "memory, at half size a quarter of that.",
            ),
            *sampler_inputs(),
        ]

    @classmethod
    def _fitting_inputs(cls) -> list[io.Input]:
        return [
            io.Int.Input(
                "fitting_steps",
                default=3000,
                min=1,
                max=1000000,
                tooltip="Steps of the fitting: more come nearer to the VAE.",
            ),
            io.Combo.Input(
                "size",
                options=list(PARTS),
                default="full",
                tooltip="Size of its images beside those of the VAE. Guide networks look at about "
                "224 pixels: half or quarter loses them nothing from 512 or 1024 pixels on, and "
                "is faster. Masks and cutouts fit themselves to it.",
            ),
            io.String.Input(
                "name",
                default="fast_decoder",
                tooltip="Name of the file in models/vae_approx. An older fast decoder of this name "
                "is replaced when the new one is ready.",
            ),
        ]

    @classmethod
    def _size_inputs(cls) -> list[io.Input]:
        return [
            advanced(
                io.Int.Input(
                    "width",
                    default=64,
                    min=8,
                    max=256,
                    step=8,
                    tooltip="Channels of the decoder: more come nearer to the VAE and are slower.",
                )
            ),
            advanced(
                io.Int.Input(
                    "blocks",
                    default=3,
                    min=1,
                    max=16,
                    tooltip="Its layers at the size of the latent. It may have a million weights.",
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
        latent_image: dict[str, Any],
        seed: int,
        runs: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        fitting_steps: int,
        size: str,
        name: str,
        width: int,
        blocks: int,
    ) -> io.NodeOutput:
        """Gather, fit, measure and write."""
        sampling = (steps, cfg, sampler_name, scheduler)
        plan = samplers.plan_of(model, positive, negative, *sampling)
        fitting = (seed, runs, fitting_steps, size, width, blocks)
        order = Order(
            plan, sampler_name, latent_image, vae, *fitting, name, cls._key(*sampling, *fitting)
        )
        card, comparison = fit_decoder.fitted(order)
        preview = ui.PreviewImage(comparison, cls=cls)
        return io.NodeOutput(order.file.name, card.psnr, comparison, ui=preview)

    @classmethod
    def _key(cls, *widgets: Any) -> str:
        """Tells this decoder from those of other settings and other workflows."""
        hidden = getattr(cls, "hidden", None)
        above = workflow_key(getattr(hidden, "prompt", None), getattr(hidden, "unique_id", None))
        return hashlib.sha256(json.dumps([above, *widgets]).encode()).hexdigest()[:8]
