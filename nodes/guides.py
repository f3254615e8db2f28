"""Nodes that ask for a reference picture, a style, colours, or what a camera measured."""

from __future__ import annotations

import re
from typing import Any

import torch
from comfy_api.latest import io

from ..guidance_core.energies.clip_image import ClipImage
from ..guidance_core.energies.color_histogram import ColorHistogram
from ..guidance_core.energies.image import ReferenceImage
from ..guidance_core.energies.measurement import Measurement
from ..guidance_core.energies.palette import Palette
from ..guidance_core.energies.smoothness import Smoothness
from ..guidance_core.energies.style import Style
from ..guidance_core.operators import Compose, GaussianBlur, Grey, MotionBlur, Shrink
from .sockets import Energy, Network, advanced, schema
from .weighting import closing_inputs, finished, normal, pictures

OUTPUTS = [Energy.Output(display_name="energy", tooltip="For a rule or the guided sampler.")]


def reference_input(tip: str, **options: Any) -> io.Input:
    """The picture that an energy compares with."""
    return io.Image.Input("reference", tooltip=tip, **options)


class EnergyCLIPImage(io.ComfyNode):
    """Distance between the picture and a reference, by CLIP."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyCLIPImage",
            display_name="Energy: CLIP Image",
            category="guidance/energy",
            description="Low where a CLIP network sees in the picture what it sees in a reference: "
            "content and style at once, not the layout.",
            search_aliases=("clip guidance", "image prompt", "style guidance", "reference"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: OpenCLIP."),
                reference_input("What the picture should be like; several stand for their mean."),
                io.Combo.Input(
                    "distance",
                    options=["spherical", "cosine"],
                    default="spherical",
                    tooltip="How far the two are apart: the squared great-circle angle "
                    "(CLIP-guided diffusion in k-diffusion) or one minus the cosine (Universal "
                    "Guidance's style).",
                ),
                io.Int.Input(
                    "cutouts",
                    default=0,
                    min=0,
                    max=128,
                    tooltip="Random crops that the network looks at in each step besides the "
                    "whole picture. Universal Guidance used none; crops ask for the reference's "
                    "look in every part.",
                ),
                io.Boolean.Input(
                    "augment",
                    default=True,
                    tooltip="Jitter the crops, against adversarial textures, as k-diffusion's CLIP "
                    "guidance did. Without crops it does nothing.",
                ),
                advanced(
                    io.Int.Input(
                        "seed",
                        default=0,
                        min=0,
                        max=0xFFFFFFFFFFFFFFFF,
                        control_after_generate=False,
                        tooltip="Seed of the crops and of their jitter; the papers leave it to "
                        "chance.",
                    )
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls,
        network: Any,
        reference: torch.Tensor,
        distance: str,
        cutouts: int,
        augment: bool,
        seed: int,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        energy = ClipImage(
            network,
            pictures(reference),
            distance=distance,
            cutouts=cutouts,
            augment=augment,
            seed=seed,
        )
        return finished(energy, weight, mask)


class EnergyStyle(io.ComfyNode):
    """Distance of features' Gram matrices from a reference's."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyStyle",
            display_name="Energy: Style",
            category="guidance/energy",
            description="Low where the picture has the style of a reference: which features of a "
            "network go together (Gram matrices), wherever they are.",
            search_aliases=("gram matrix", "style transfer", "texture", "freedom"),
            inputs=[
                Network.Input(
                    "network",
                    tooltip="From Load Guide: OpenCLIP (FreeDoM: ViT-B-16), ViT, or Classifier "
                    "(Gatys: vgg19).",
                ),
                reference_input("The picture whose style is wanted, any size."),
                io.String.Input(
                    "layers",
                    default="2",
                    tooltip="Blocks of the network to compare, counted from 0, with commas; -1 is "
                    "the last. FreeDoM: 2. Early blocks hold colour and texture, late ones "
                    "content.",
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, layers: str | None = None) -> bool | str:
        """Refuse layers that are not numbers when the workflow is queued."""
        return True if layers is None else fault_of(numbers, layers) or True

    @classmethod
    def execute(
        cls,
        network: Any,
        reference: torch.Tensor,
        layers: str,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        return finished(Style(network, pictures(reference), numbers(layers)), weight, mask)


class EnergyImage(io.ComfyNode):
    """Distance from a reference picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyImage",
            display_name="Energy: Image",
            category="guidance/energy",
            description="Low where the picture equals a reference, pixel by pixel or in what a "
            "network sees. With a mask: there.",
            search_aliases=("reference", "reconstruction", "lpips", "perceptual loss"),
            inputs=[
                reference_input("The wanted picture; resized to the picture's size."),
                io.Combo.Input(
                    "distance",
                    options=["l2", "l1", "features"],
                    default="l2",
                    tooltip="Mean squared or mean absolute difference of pixels, or difference of "
                    "a network's features, as in LPIPS. DiffuseIT's pixel term is l2.",
                ),
                *closing_inputs(),
                Network.Input(
                    "network",
                    optional=True,
                    tooltip="For 'features': from Load Guide: Classifier (LPIPS: vgg16), OpenCLIP "
                    "or ViT.",
                ),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls,
        reference: torch.Tensor,
        distance: str,
        weight: float,
        mask: torch.Tensor | None = None,
        network: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        energy = ReferenceImage(
            pictures(reference), distance, network if distance == "features" else None
        )
        return finished(energy, weight, mask)


class EnergyPalette(io.ComfyNode):
    """Distance of the picture's colours from a list of colours or from a reference's."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyPalette",
            display_name="Energy: Palette",
            category="guidance/energy",
            description="Low where every pixel has one of a few colours; or, with a reference, "
            "where the picture has the reference's colours in the same amounts. No network.",
            search_aliases=("color palette", "histogram", "colour", "color match"),
            inputs=[
                io.String.Input(
                    "colors",
                    default="#282c34 #dc322f #fadc32",
                    tooltip="Wanted colours as #rrggbb, with spaces or commas. How much of each is "
                    "left to the model. Not used with a reference.",
                ),
                *closing_inputs(),
                reference_input(
                    "Take colours and their amounts from this picture instead (sliced Wasserstein "
                    "distance; DiffuseIT matched colours afterwards).",
                    optional=True,
                ),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, colors: str | None = None) -> bool | str:
        """Refuse what is not a colour when the workflow is queued."""
        # Empty ones are fine beside a reference, which is not known yet.
        return fault_of(palette, colors) or True if colors and colors.strip() else True

    @classmethod
    def execute(
        cls,
        colors: str,
        weight: float,
        mask: torch.Tensor | None = None,
        reference: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        if reference is not None:
            return finished(ColorHistogram(pictures(reference)), weight, mask)
        return finished(Palette(normal(palette(colors))), weight, mask)


class EnergySmoothness(io.ComfyNode):
    """Total variation of the picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergySmoothness",
            display_name="Energy: Smoothness",
            category="guidance/energy",
            description="Low where neighbouring pixels are alike (total variation). Combined with "
            "another energy, it keeps the gradient from adding grain. No network.",
            search_aliases=("total variation", "tv loss", "denoise"),
            inputs=[
                io.Boolean.Input(
                    "keep_edges",
                    default=True,
                    tooltip="Absolute differences, which leave edges sharp (Rudin, Osher, Fatemi); "
                    "off squares them, as CLIP-guided diffusion did.",
                ),
                *closing_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls, keep_edges: bool, weight: float, mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """Build the energy."""
        return finished(Smoothness(keep_edges), weight, mask)


class EnergyMeasurement(io.ComfyNode):
    """Distance of what a camera would measure of the picture from what it did measure."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyMeasurement",
            display_name="Energy: Measurement",
            category="guidance/energy",
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


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers of a text such as '2, -1'."""
    parts = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    if not parts or not all(re.fullmatch(r"-?\d+", part) for part in parts):
        raise ValueError(f"layers must be whole numbers with commas, such as 2, -1; got {text!r}")
    return tuple(int(part) for part in parts)


def palette(text: str) -> torch.Tensor:
    """Colours (N, 3) in [0, 1] of a text such as '#ff0000 #00ff00'."""
    parts = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    wrong = [part for part in parts if not re.fullmatch(r"#?[0-9a-fA-F]{6}", part)]
    if wrong or not parts:
        raise ValueError(
            f"colors must be #rrggbb with spaces or commas, got {wrong[0] if wrong else 'none'!r}"
        )
    hexes = [part.removeprefix("#") for part in parts]
    return torch.tensor([[int(h[i : i + 2], 16) / 255 for i in (0, 2, 4)] for h in hexes])


def fault_of(read: Any, text: str) -> str | None:
    """What `read` says is wrong with a text, if anything."""
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return None


NODES = [
    EnergyMeasurement,
    EnergyImage,
    EnergyCLIPImage,
    EnergyStyle,
    EnergyPalette,
    EnergySmoothness,
]
