"""Turns an image into the noise that it can be sampled from."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...guidance_core.procedures.white_noise import WhiteNoise, whiteness
from ..host import invert, samplers
from ..host.browser.note import note
from ..inputs.noise_levels import schedule_inputs
from ..inputs.sampling import negative_input
from ..inputs.sockets import Path, schema


def noise_report(path: Any, model: Any) -> str:
    """Report how white the noise of a path is, mean of its images; empty for one that is sound."""
    noise = invert.PathNoise(path, model).generate_noise({"samples": path.states[-1]})
    if noise.ndim < 4:
        return ""
    times, divergence = whiteness(noise).mean(0).tolist()
    return (
        f"noise: self-correlation {times:.1f} times white noise's, divergence of its mean and "
        f"variance {divergence:.2f}\n"
    )


class Invert(io.ComfyNode):
    """Turns an image into the noise that it can be sampled from."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGInvert",
            display_name="Invert",
            category="guidance/edit",
            description="Turns an image into the noise that it can be sampled from, so that "
            "it can be edited. Sample the edit with euler.",
            search_aliases=("ddim inversion", "unsampler", "pix2pix-zero", "direct inversion"),
            inputs=[
                io.Model.Input("model", tooltip="The diffusion model, without edits."),
                io.Conditioning.Input(
                    "positive", tooltip="A prompt that describes the image; may be empty."
                ),
                io.Latent.Input("latent_image", tooltip="The image, from VAE Encode."),
                *schedule_inputs(50),
                io.Int.Input(
                    "iterations",
                    default=2,
                    min=1,
                    max=100,
                    tooltip="Model evaluations per step: 1 is plain DDIM inversion; more "
                    "reproduce the image more exactly, and each costs one evaluation per "
                    "step.",
                ),
                io.Float.Input(
                    "white_noise",
                    default=0.0,
                    min=0.0,
                    max=1000.0,
                    step=1.0,
                    tooltip="Makes the noise more like random noise: higher edits more "
                    "freely and reproduces the image less exactly. 0 is off, 20 as published.",
                ),
                io.Boolean.Input(
                    "measure",
                    default=True,
                    tooltip="Sample the image again and report how exactly it is reproduced. "
                    "Costs one evaluation per step.",
                ),
                negative_input(),
                io.Vae.Input(
                    "vae", optional=True, tooltip="Measures on the image in place of the latent."
                ),
            ],
            outputs=[
                io.Latent.Output(
                    tooltip="The inverted latent, for KSampler (Advanced) with add_noise "
                    "disabled, sampler euler and the same steps and scheduler. Flow models "
                    "need the noise output instead, and so does a noise mask, which this output "
                    "leaves out."
                ),
                Path.Output(
                    display_name="path",
                    tooltip="All states between image and noise, for Record Reference "
                    "(direct inversion).",
                ),
                io.Noise.Output(
                    tooltip="The inverted noise, for SamplerCustomAdvanced together with the "
                    "latent that was inverted; for every family of models."
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="How white the noise is: white noise has self-correlation 1 and "
                    "divergence 0. And how exactly the image is reproduced, in dB; above 35 the "
                    "difference is hard to see.",
                ),
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
        """Invert the image."""
        widgets = (steps, cfg, "euler", scheduler, denoise)
        plan = samplers.plan_of(model, positive, negative, *widgets)
        settle = WhiteNoise(white_noise) if white_noise else None
        path = invert.inverted(plan, latent_image["samples"], iterations, settle)
        report = invert.round_trip(path, plan, vae) if measure else "round trip: not measured"
        report = noise_report(path, model) + report
        note(report)
        noisy = invert.noisy_latent(model, path, latent_image)
        return io.NodeOutput(noisy, path, invert.PathNoise(path, model), report)
