"""Nodes that ask for a reference picture: its pixels, its content, its style."""

from __future__ import annotations

import re
from typing import Any

import torch
from comfy_api.latest import io

from ..guidance_core.energies.clip_image import ClipImage
from ..guidance_core.energies.image import ReferenceImage
from ..guidance_core.energies.style import Style
from .sockets import Network, advanced, schema
from .weighting import OUTPUTS, closing_inputs, fault_of, finished, pictures, reference_input


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


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers of a text such as '2, -1'."""
    parts = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    if not parts or not all(re.fullmatch(r"-?\d+", part) for part in parts):
        raise ValueError(f"layers must be whole numbers with commas, such as 2, -1; got {text!r}")
    return tuple(int(part) for part in parts)


NODES = [EnergyImage, EnergyCLIPImage, EnergyStyle]
