"""The noise from which a picture is painted."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.procedures.inversion import WhiteNoise, psnr
from ..host import invert
from ..host.browser.note import note
from ..inputs.noise_levels import schedule_inputs
from ..inputs.sockets import Path, schema


def round_trip(path: Any, plan: invert.Plan, vae: Any) -> str:
    """Say how well a path's picture is painted again from its top."""
    again, latent = invert.repainted(plan, path), plan.latent(path)
    if vae is None:
        error = (again - latent).square().mean() / latent.square().mean()
        return f"round trip: {-10 * float(error.clamp_min(1e-12).log10()):.1f} dB of the latent"
    decibels = psnr(vae.decode(again), vae.decode(latent))
    return f"round trip: {float(decibels.mean()):.1f} dB, worst picture {float(decibels.min()):.1f}"


class Invert(io.ComfyNode):
    """The noise from which a picture is painted."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGInvert",
            display_name="Invert",
            category="guidance/editing",
            description="Finds the noise from which the sampler euler (DDIM) paints a given "
            "picture, so that the picture can be edited.",
            search_aliases=("ddim inversion", "unsampler", "pix2pix-zero", "direct inversion"),
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model, without edits."),
                io.Conditioning.Input(
                    "positive", tooltip="A prompt that describes the picture; it may be empty."
                ),
                io.Latent.Input("latent_image", tooltip="The picture, from VAE Encode."),
                *schedule_inputs(50),
                io.Int.Input(
                    "iterations",
                    default=2,
                    min=1,
                    max=100,
                    tooltip="Model evaluations a step: 1 is plain DDIM inversion, as in "
                    "Pix2Pix-Zero; more solve each step more exactly (AIDI used up to 11).",
                ),
                io.Float.Input(
                    "white_noise",
                    default=0.0,
                    min=0.0,
                    max=1000.0,
                    step=1.0,
                    tooltip="Regularises the predicted noise, which edits better and comes back "
                    "worse. 0 is off; Pix2Pix-Zero 20.",
                ),
                io.Boolean.Input(
                    "measure",
                    default=True,
                    tooltip="Paint the picture again and report how near it comes, at one "
                    "evaluation a step. The papers report such figures too.",
                ),
                io.Conditioning.Input(
                    "negative", optional=True, tooltip="Needed only where cfg is not 1."
                ),
                io.Vae.Input(
                    "vae", optional=True, tooltip="To measure on the picture, not on the latent."
                ),
            ],
            outputs=[
                io.Latent.Output(
                    tooltip="The inverted latent, for KSampler (Advanced) with add_noise disabled, "
                    "sampler euler and the same steps and scheduler. Not with flow models: they "
                    "need the noise."
                ),
                Path.Output(
                    display_name="path",
                    tooltip="Every state on the way, for Record Reference (direct inversion).",
                ),
                io.Noise.Output(
                    tooltip="The same for SamplerCustomAdvanced, with the latent that was "
                    "inverted; for every family of models."
                ),
                io.String.Output(display_name="report", tooltip="How near the round trip comes."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        latent_image: dict[str, Any],
        steps: int,
        cfg: float,
        scheduler: str,
        denoise: float,
        iterations: int,
        white_noise: float,
        measure: bool,
        negative: Any = None,
        vae: Any = None,
    ) -> io.NodeOutput:
        """Invert the picture."""
        plan = invert.plan(model, positive, negative, cfg, steps, scheduler, denoise)
        settle = WhiteNoise(white_noise) if white_noise else None
        path = invert.inverted(plan, latent_image["samples"], iterations, settle)
        report = round_trip(path, plan, vae) if measure else "round trip: not measured"
        note(report)
        noisy = invert.noisy_latent(model, path, latent_image)
        return io.NodeOutput(noisy, path, invert.PathNoise(path, model), report)
