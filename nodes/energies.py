"""Nodes that say what the picture should be."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import torch
from comfy_api.latest import io

from ..guidance_core.energies.classifier import ClassLabel
from ..guidance_core.energies.clip_text import ClipText
from ..guidance_core.energies.color import MeanColor
from ..guidance_core.energies.masked import Masked
from ..guidance_core.energies.scheduled import Scheduled
from ..guidance_core.energies.weighted_sum import WeightedSum
from .sockets import Energy, Network, Schedule, advanced, schema

WEIGHT_TIP = (
    "Share of this energy when several are combined; a negative weight pushes away from the target. Alone, "
    "the 'relative' and 'cfg' scales ignore its size. TFG sums its energies with weight 1."
)
SLOTS = 4
SHOWN_LABELS = 40


def closing_inputs() -> list[io.Input]:
    """What every energy ends with: a weight and an optional mask."""
    return [
        io.Float.Input("weight", default=1.0, min=-1000.0, max=1000.0, step=0.05, tooltip=WEIGHT_TIP),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="White is what the energy sees and may change; the rest is left alone. Without a mask, "
            "the whole picture, as in the papers.",
        ),
    ]


def finished(energy: Any, weight: float, mask: torch.Tensor | None) -> io.NodeOutput:
    """The energy under its mask and weight."""
    if mask is not None:
        energy = Masked(energy, mask)
    return io.NodeOutput(energy if weight == 1.0 else WeightedSum(((weight, energy),)))


def fitting(network: Any, member: str, expected: str) -> Any:
    """The network, if it can do what the energy needs; otherwise an error that says what to connect."""
    if hasattr(network, member):
        return network
    came = getattr(network, "name", None) or type(network).__name__
    raise ValueError(f"network must come from the node {expected!r}, got {came!r}: connect that node instead")


def known_label(label: str, labels: tuple[str, ...]) -> str:
    """The label, if the network has it; otherwise an error that lists what it has."""
    if label in labels:
        return label
    near = get_close_matches(label, labels, n=5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    more = f" and {len(labels) - SHOWN_LABELS} more" if len(labels) > SHOWN_LABELS else ""
    raise ValueError(
        f"label must be a class of the network, got {label!r}: {hint}choose one of "
        f"{', '.join(labels[:SHOWN_LABELS])}{more}"
    )


class EnergyCLIPText(io.ComfyNode):
    """Distance between the picture and a sentence."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyCLIPText",
            display_name="Energy: CLIP Text",
            category="guidance/energy",
            description="Low where a CLIP network says that the picture fits the sentence. Needs a VAE (or "
            "another decoder) where it is applied.",
            search_aliases=("clip guidance", "text energy"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: OpenCLIP."),
                io.String.Input(
                    "text",
                    default="a big red circle",
                    multiline=True,
                    tooltip="What the picture should show, in the words the network was trained on.",
                ),
                io.Combo.Input(
                    "distance",
                    options=["spherical", "cosine"],
                    default="spherical",
                    tooltip="How far picture and text are apart: the squared great-circle angle (CLIP-guided "
                    "diffusion in k-diffusion) or one minus the cosine (Universal Guidance).",
                ),
                io.Int.Input(
                    "cutouts",
                    default=8,
                    min=0,
                    max=128,
                    tooltip="Random crops the network looks at in each step; their mean makes the gradient "
                    "smoother and costs as many network passes. 0: the whole picture once, as in Universal "
                    "Guidance; k-diffusion used 16.",
                ),
                io.Boolean.Input(
                    "augment",
                    default=True,
                    tooltip="Jitter the crops (small turns, shifts, colour), so that no adversarial texture "
                    "can please the network. k-diffusion's CLIP guidance did.",
                ),
                advanced(
                    io.Int.Input(
                        "seed",
                        default=0,
                        min=0,
                        max=0xFFFFFFFFFFFFFFFF,
                        tooltip="Seed of the crops and of their jitter; the papers leave it to chance.",
                    )
                ),
                *closing_inputs(),
            ],
            outputs=[Energy.Output(display_name="energy", tooltip="For a rule or the guided sampler.")],
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
        clip = fitting(network, "encode_text", "Load Guide: OpenCLIP")
        energy = ClipText(
            clip, text, distance=distance, cutouts=cutouts, augment=augment, seed=seed
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
            description="Low where a classifier finds the class in the picture. Needs a VAE (or another "
            "decoder) where it is applied.",
            search_aliases=("classifier guidance", "class label"),
            inputs=[
                Network.Input("network", tooltip="From Load Guide: Classifier."),
                io.String.Input(
                    "label",
                    default="red",
                    tooltip="Name of the class; the error of an unknown one lists the known. Shapes' "
                    "classifier knows circle, square, triangle, six colours, small and big.",
                ),
                *closing_inputs(),
            ],
            outputs=[Energy.Output(display_name="energy", tooltip="For a rule or the guided sampler.")],
        )

    @classmethod
    def execute(
        cls, network: Any, label: str, weight: float, mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """Build the energy."""
        classifier = fitting(network, "labels", "Load Guide: Classifier")
        energy = ClassLabel(classifier, known_label(label.strip(), tuple(classifier.labels)))
        return finished(energy, weight, mask)


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
            description="Low where the mean colour of the picture is the wanted one. No network; with the "
            "decoder 'rgb' no VAE either.",
            search_aliases=("colour", "color guidance", "tint"),
            inputs=[
                io.Float.Input("red", default=0.8, tooltip=tip.format("Red share"), **limits),
                io.Float.Input("green", default=0.2, tooltip=tip.format("Green share"), **limits),
                io.Float.Input("blue", default=0.2, tooltip=tip.format("Blue share"), **limits),
                *closing_inputs(),
            ],
            outputs=[Energy.Output(display_name="energy", tooltip="For a rule or the guided sampler.")],
        )

    @classmethod
    def execute(
        cls,
        red: float,
        green: float,
        blue: float,
        weight: float,
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        return finished(MeanColor((red, green, blue)), weight, mask)


class CombineEnergies(io.ComfyNode):
    """A weighted sum of energies."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        weight = {"default": 1.0, "min": -1000.0, "max": 1000.0, "step": 0.05}
        inputs: list[io.Input] = []
        for slot in range(1, SLOTS + 1):
            inputs += [
                Energy.Input(f"energy_{slot}", optional=slot > 1, tooltip=f"Part {slot} of the sum."),
                io.Float.Input(
                    f"weight_{slot}",
                    tooltip=f"How much part {slot} counts; negative pushes away, 0 drops it. TFG adds "
                    "its energies with weight 1.",
                    **weight,
                ),
            ]
        return schema(
            "EGCombineEnergies",
            display_name="Combine Energies",
            category="guidance/energy",
            description="Weighted sum of up to four energies; feed one sum into another for more. One sum "
            "costs one backward pass, stacked rules cost one each.",
            search_aliases=("sum", "weighted energies", "multiple guidance"),
            inputs=inputs,
            outputs=[Energy.Output(display_name="energy", tooltip="The sum.")],
        )

    @classmethod
    def execute(
        cls,
        energy_1: Any,
        weight_1: float,
        weight_2: float,
        weight_3: float,
        weight_4: float,
        energy_2: Any = None,
        energy_3: Any = None,
        energy_4: Any = None,
    ) -> io.NodeOutput:
        """Sum what is connected."""
        slots = zip(
            (weight_1, weight_2, weight_3, weight_4),
            (energy_1, energy_2, energy_3, energy_4),
            strict=True,
        )
        parts = tuple((weight, energy) for weight, energy in slots if energy is not None and weight)
        if not parts:
            raise ValueError("at least one connected energy must have a weight other than 0, got none")
        return io.NodeOutput(WeightedSum(parts))


class ScheduleEnergy(io.ComfyNode):
    """One energy with a schedule of its own."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGScheduleEnergy",
            display_name="Schedule Energy",
            category="guidance/energy",
            description="Gives one energy of a sum its own window and curve; outside the window it is not "
            "even computed.",
            search_aliases=("energy window", "timed energy"),
            inputs=[
                Energy.Input("energy", tooltip="The energy to time."),
                Schedule.Input("schedule", tooltip="When it counts, and how much."),
            ],
            outputs=[Energy.Output(display_name="energy", tooltip="The timed energy.")],
        )

    @classmethod
    def execute(cls, energy: Any, schedule: Any) -> io.NodeOutput:
        """Build the timed energy."""
        return io.NodeOutput(Scheduled(energy, schedule))


NODES = [EnergyCLIPText, EnergyClassifier, EnergyColor, CombineEnergies, ScheduleEnergy]
