"""Nodes that say what the picture should be."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..guidance_core.energies.classifier import ClassLabel
from ..guidance_core.energies.clip_text import ClipText
from ..guidance_core.energies.color import MeanColor
from .sockets import Energy, Network, advanced, schema
from .weighting import closing_inputs, finished, normal


class EnergyCLIPText(io.ComfyNode):
    """Distance between the picture and a sentence."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyCLIPText",
            display_name="Energy: CLIP Text",
            category="guidance/energy",
            description="Low where a CLIP network says that the picture fits the sentence. Needs "
            "a VAE (or another decoder) where it is applied.",
            search_aliases=("clip guidance", "text energy"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: OpenCLIP."),
                io.String.Input(
                    "text",
                    default="a big red circle",
                    multiline=True,
                    tooltip="What the picture should show, in the words the network was trained "
                    "on.",
                ),
                io.Combo.Input(
                    "distance",
                    options=["spherical", "cosine"],
                    default="spherical",
                    tooltip="How far picture and text are apart: the squared great-circle angle "
                    "(CLIP-guided diffusion in k-diffusion) or one minus the cosine (Universal "
                    "Guidance).",
                ),
                io.Int.Input(
                    "cutouts",
                    default=4,
                    min=0,
                    max=128,
                    tooltip="Random crops that the network looks at in each step besides the "
                    "whole picture; their mean makes the gradient smoother and costs as many "
                    "network passes. Universal Guidance used none, k-diffusion 16.",
                ),
                io.Boolean.Input(
                    "augment",
                    default=True,
                    tooltip="Jitter the crops (small turns, shifts, colour), so that no "
                    "adversarial texture can please the network. k-diffusion's CLIP guidance did.",
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
            outputs=[
                Energy.Output(display_name="energy", tooltip="For a rule or the guided sampler.")
            ],
        )

    @classmethod
    def validate_inputs(cls, text: str | None = None) -> bool | str:
        """Refuse an empty sentence when the workflow is queued."""
        if text is not None and not text.strip():
            return "text must not be empty: say what the picture should show"
        return True

    @classmethod
    def execute(
        cls,
        network: Any,
        text: str,
        distance: str,
        cutouts: int,
        augment: bool,
        seed: int,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        energy = ClipText(
            network, text, distance=distance, cutouts=cutouts, augment=augment, seed=seed
        )
        return finished(energy, weight, mask)


class EnergyClassifier(io.ComfyNode):
    """How unlikely a class is by an image classifier."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyClassifier",
            display_name="Energy: Classifier",
            category="guidance/energy",
            description="Low where a classifier finds the class in the picture. Needs a VAE (or "
            "another decoder) where it is applied.",
            search_aliases=("classifier guidance", "class label"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: Classifier."),
                io.String.Input(
                    "label",
                    default="red",
                    tooltip="Name of the class; the error of an unknown one lists the known. "
                    "Shapes' classifier knows circle, square, triangle, six colours, small and "
                    "big.",
                ),
                *closing_inputs(),
                io.Float.Input(
                    "confidence",
                    default=0.9,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="Probability at which a picture counts as done and is pushed no more, "
                    "so that its other objects stay clean. 1 never rests, as in the papers. Not "
                    "used where the weight is negative.",
                ),
            ],
            outputs=[
                Energy.Output(display_name="energy", tooltip="For a rule or the guided sampler.")
            ],
        )

    @classmethod
    def execute(
        cls,
        network: Any,
        label: str,
        weight: float,
        mask: torch.Tensor | None = None,
        confidence: float = 0.9,
    ) -> io.NodeOutput:
        """Build the energy."""
        enough = confidence if weight > 0 else 1.0
        return finished(ClassLabel(network, label.strip(), enough), weight, mask)


class EnergyColor(io.ComfyNode):
    """Distance of the mean colour from a target."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        tip = "{} of the wanted mean colour, 0 to 1. With a mask, of the masked area."
        limits = {"min": 0.0, "max": 1.0, "step": 0.01}
        return schema(
            "EGEnergyColor",
            display_name="Energy: Mean Color",
            category="guidance/energy",
            description="Low where the mean colour of the picture is the wanted one. No network; "
            "with the decoder 'rgb' no VAE either.",
            search_aliases=("colour", "color guidance", "tint"),
            inputs=[
                io.Float.Input("red", default=0.8, tooltip=tip.format("Red share"), **limits),
                io.Float.Input("green", default=0.2, tooltip=tip.format("Green share"), **limits),
                io.Float.Input("blue", default=0.2, tooltip=tip.format("Blue share"), **limits),
                io.Float.Input(
                    "share",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="Part of the area that should have the colour: 1 tints all of it, 0.1 "
                    "asks for something of that colour where the picture tends to it most. The "
                    "usual colour guidance is 1.",
                ),
                *closing_inputs(),
            ],
            outputs=[
                Energy.Output(display_name="energy", tooltip="For a rule or the guided sampler.")
            ],
        )

    @classmethod
    def execute(
        cls,
        red: float,
        green: float,
        blue: float,
        share: float,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        target = normal(torch.tensor([red, green, blue]))
        return finished(MeanColor(target, share), weight, mask)


NODES = [EnergyCLIPText, EnergyClassifier, EnergyColor]
