"""The node that asks for what a camera measured."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.measurement import Measurement
from ...guidance_core.image.degradations import Compose, GaussianBlur, Grey, MotionBlur, Shrink
from ..inputs.energy import OUTPUTS, closing_inputs, finished, normal, pictures, reference_input
from ..inputs.sockets import schema


class EnergyMeasurement(io.ComfyNode):
    """Distance of what a camera would measure of the picture from what it did measure."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyMeasurement",
            display_name="Energy: Measurement",
            category="guidance/energies",
            description="Low where the picture, blurred, shrunk, without colour or covered as "
            "chosen here, is the reference: deblurring, super-resolution, colourisation, "
            "inpainting, uncropping and denoising, also several at once (blur first, then shrink, "
            "then grey). With none of them it asks for the reference itself. Its rule is Rule: "
            "Backward with optimiser polyak and strength 1; start from the enlarged "
            "reference (VAE Encode) at denoise 0.3.",
            search_aliases=(
                "inverse problem",
                "inpainting",
                "super resolution",
                "deblur",
                "colorize",
                "outpainting",
                "denoise",
                "dps",
            ),
            inputs=[
                reference_input(
                    "What was measured: the blurred, small, grey, covered or noisy picture. Shrunk "
                    "ones must be exactly so many times smaller than the picture that is sampled."
                ),
                io.Int.Input(
                    "shrink",
                    default=1,
                    min=1,
                    max=16,
                    tooltip="How many times smaller the reference is: 2, 4, 8 for "
                    "super-resolution, 1 for the same size. DPS: 4.",
                ),
                io.Combo.Input(
                    "kernel",
                    options=["bicubic", "box"],
                    default="bicubic",
                    tooltip="How it was shrunk: bicubic with antialiasing (DPS), or the mean of "
                    "each square.",
                ),
                io.Combo.Input(
                    "blur",
                    options=["none", "gaussian", "motion"],
                    default="none",
                    tooltip="How it was blurred, before it was shrunk.",
                ),
                io.Float.Input(
                    "blur_size",
                    default=3.0,
                    min=0.1,
                    max=128.0,
                    step=0.1,
                    tooltip="In pixels of the sampled picture: standard deviation of a gaussian "
                    "blur (DPS: 3), or length of a motion blur, rounded to an odd number (DPS: "
                    "61, curved).",
                ),
                io.Float.Input(
                    "angle",
                    default=0.0,
                    min=-180.0,
                    max=180.0,
                    step=1.0,
                    tooltip="Direction of a motion blur in degrees: 0 is sideways, 90 is upwards.",
                ),
                io.Boolean.Input(
                    "grey",
                    default=False,
                    tooltip="The reference has no colour: compare brightness only, and let the "
                    "model colour it.",
                ),
                io.Float.Input(
                    "noise",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Standard deviation of the noise in the reference; differences below "
                    "it do not count. DPS: 0.05 (of a range of 2, so 0.025 here).",
                ),
                io.Boolean.Input(
                    "simulate",
                    default=False,
                    tooltip="The reference is a good picture: blur, shrink and grey it here first, "
                    "to see how well guidance restores it.",
                ),
                *closing_inputs(),
                io.Mask.Input(
                    "missing",
                    optional=True,
                    tooltip="White is what was not seen and is to be made up, as in Pad Image for "
                    "Outpainting and Load Image. Inpainting and uncropping.",
                ),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls,
        reference: torch.Tensor,
        shrink: int,
        kernel: str,
        blur: str,
        blur_size: float,
        angle: float,
        grey: bool,
        noise: float,
        simulate: bool,
        weight: float,
        mask: torch.Tensor | None = None,
        missing: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        stages: list[Any] = []
        if blur == "gaussian":
            stages.append(GaussianBlur(blur_size))
        elif blur == "motion":
            stages.append(MotionBlur(max(2 * round((blur_size - 1) / 2) + 1, 3), angle))
        if shrink > 1:
            stages.append(Shrink(shrink, kernel))
        if grey:
            stages.append(Grey())
        operator, measured = Compose(tuple(stages)), pictures(reference)
        if simulate:
            measured = operator(measured)
        elif grey:
            measured = Grey()(measured)
        energy = Measurement(normal(measured), operator, noise, _seen(missing))
        return finished(energy, weight, mask)


def _seen(missing: torch.Tensor | None) -> torch.Tensor | None:
    """The weight of each pixel where some are missing."""
    if missing is None:
        return None
    seen = normal(1 - missing.clamp(0, 1))
    if not (seen.flatten(1).amax(1) > 0).all():
        raise ValueError("everything is missing (the mask is all white): leave something to go by")
    return seen
