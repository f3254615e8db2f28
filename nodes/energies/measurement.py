"""Restores a degraded image."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ...guidance_core.energies.measurement import Measurement
from ...guidance_core.image.degradations import Compose, GaussianBlur, Grey, MotionBlur, Shrink
from ..inputs.energy import (
    OUTPUTS,
    channels_first,
    closing_inputs,
    finished,
    normal,
    reference_input,
)
from ..inputs.sockets import schema


class EnergyMeasurement(io.ComfyNode):
    """Restores a degraded image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyMeasurement",
            display_name="Energy: Measurement",
            category="guidance/restore",
            description="Restores a degraded image: deblurring, super-resolution, "
            "colourisation, inpainting, uncropping, denoising, or several at once. The "
            "result matches the reference once it is blurred, shrunk, made grey or covered "
            "as chosen here, in this order. Use Rule: Backward with optimiser polyak and "
            "strength 1, and start from the enlarged reference (VAE Encode) at denoise 0.3.",
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
                    "The degraded image: blurred, small, grey, covered or noisy. A small one "
                    "must be smaller than the sampled image by exactly the factor shrink."
                ),
                io.Int.Input(
                    "shrink",
                    default=1,
                    min=1,
                    max=16,
                    tooltip="How many times smaller the reference is, 1 to 16: 4 for "
                    "fourfold super-resolution, 1 for the same size.",
                ),
                io.Combo.Input(
                    "kernel",
                    options=["bicubic", "box"],
                    default="bicubic",
                    tooltip="How the reference was made small: bicubic with antialiasing, or "
                    "the mean of each square (box).",
                ),
                io.Combo.Input(
                    "blur",
                    options=["none", "gaussian", "motion"],
                    default="none",
                    tooltip="How the reference was blurred, before it was made small.",
                ),
                io.Float.Input(
                    "blur_size",
                    default=3.0,
                    min=0.1,
                    max=128.0,
                    step=0.1,
                    tooltip="Size of the blur in pixels of the sampled image: standard "
                    "deviation of a gaussian blur, or length of a motion blur, rounded to an "
                    "odd number. Higher assumes more blur and sharpens more.",
                ),
                io.Float.Input(
                    "angle",
                    default=0.0,
                    min=-180.0,
                    max=180.0,
                    step=1.0,
                    tooltip="Direction of a motion blur in degrees, -180 to 180: 0 is "
                    "sideways, 90 is upwards.",
                ),
                io.Boolean.Input(
                    "grey",
                    default=False,
                    tooltip="The reference has no colour: only brightness is compared, and "
                    "the model chooses the colours.",
                ),
                io.Float.Input(
                    "noise",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Standard deviation of the noise in the reference, on a scale of "
                    "0 to 1. Higher lets the result differ more: differences below it do not "
                    "count.",
                ),
                io.Boolean.Input(
                    "simulate",
                    default=False,
                    tooltip="The reference is a good image: blur it, shrink it and make it "
                    "grey here first, to see how well guidance restores it.",
                ),
                *closing_inputs(),
                io.Mask.Input(
                    "missing",
                    optional=True,
                    tooltip="White is what the reference does not show and the model makes "
                    "up, as in the masks of Load Image and Pad Image for Outpainting.",
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
        operator, measured = Compose(tuple(stages)), channels_first(reference)
        if simulate:
            measured = operator(measured)
        elif grey:
            measured = Grey()(measured)
        energy = Measurement(normal(measured), operator, noise, _seen(missing))
        return finished(energy, weight, mask)


def _seen(missing: torch.Tensor | None) -> torch.Tensor | None:
    """The weight of each pixel: 0 where it is missing, 1 where it is seen; None if all are."""
    if missing is None:
        return None
    seen = normal(1 - missing.clamp(0, 1))
    if not (seen.flatten(1).amax(1) > 0).all():
        raise ValueError(
            "missing must leave something visible, got a mask that is all white: "
            "paint only what is to be made up"
        )
    return seen
