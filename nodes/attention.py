"""Nodes that say what the model's attention and features should be."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..guidance_core.energies.appearance import Appearance
from ..guidance_core.energies.attention_keep import AttentionKeep
from ..guidance_core.energies.binding import Binding
from ..guidance_core.energies.box import LOSSES, Box
from ..guidance_core.energies.feature_keep import FeatureKeep
from ..guidance_core.energies.position import Position
from ..guidance_core.energies.presence import Presence
from ..guidance_core.energies.shape import Shape
from ..guidance_core.energies.size import Size
from .sockets import Energy, Reference, Tokens, advanced, schema
from .weighting import finished, normal, weight_input

CATEGORY = "guidance/energy"
HOW = "Works under rules that go through the model: Forward, Latent Update."
TOKENS_TIP = (
    "Words of the positive prompt, from Prompt Words; several words are averaged. Object with its "
    "adjectives moves best ('big red circle')."
)
MEASURED = "Of the picture, from 0 (left or top) to 1 (right or bottom). "


def opening_inputs() -> list[io.Input]:
    """What energies of words begin with."""
    return [Tokens.Input("tokens", tooltip=TOKENS_TIP)]


def ending_inputs() -> list[io.Input]:
    """What every energy here ends with."""
    return [
        weight_input(),
        advanced(
            io.String.Input(
                "layers",
                default="default",
                tooltip="Layers to read: default (SD 1 and 2: the 16 x 16 layers, as in "
                "Attend-and-Excite; SDXL: those of Self-Guidance; SD3 and Flux: the middle third "
                "of the double blocks), all, or names with commas between; a wrong name lists the "
                "right ones.",
            )
        ),
    ]


def outputs() -> list[io.Output]:
    """The one output of every energy."""
    return [Energy.Output(display_name="energy", tooltip="For a rule that goes through the model.")]


def share(name: str, default: float, tooltip: str, least: float = 0.0) -> io.Input:
    """A number of the picture's width or height."""
    return io.Float.Input(
        name, default=default, min=least, max=1.0, step=0.01, tooltip=MEASURED + tooltip
    )


def layers_of(text: str) -> str | tuple[str, ...]:
    """What the layers widget means."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return names[0] if names in (("default",), ("all",)) else names


class EnergyPosition(io.ComfyNode):
    """Where words are."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyPosition",
            display_name="Energy: Position",
            category=CATEGORY,
            description="Low where the model sees the words at the wanted place. " + HOW,
            search_aliases=("self guidance", "move object", "layout"),
            inputs=[
                *opening_inputs(),
                share("x", 0.5, "Where the centre should be; unused with a reference."),
                share("y", 0.5, "Where the centre should be; unused with a reference."),
                advanced(
                    share(
                        "shift_x",
                        0.0,
                        "With a reference: how far to the right of its place there.",
                        -1.0,
                    )
                ),
                advanced(
                    share("shift_y", 0.0, "With a reference: how far below its place there.", -1.0)
                ),
                *ending_inputs(),
                Reference.Input(
                    "reference",
                    optional=True,
                    tooltip="Another run: the words should be where they were there, plus the "
                    "shift (Self-Guidance moves objects so).",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls,
        tokens: Any,
        x: float,
        y: float,
        shift_x: float,
        shift_y: float,
        weight: float,
        layers: str,
        reference: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        target = (x, y) if reference is None else None
        energy = Position(tokens, target, reference, (shift_x, shift_y), layers_of(layers))
        return finished(energy, weight, None)


class EnergySize(io.ComfyNode):
    """How big words are."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergySize",
            display_name="Energy: Size",
            category=CATEGORY,
            description="Low where the words take the wanted part of the picture. " + HOW,
            search_aliases=("self guidance", "resize object"),
            inputs=[
                *opening_inputs(),
                io.Float.Input(
                    "area",
                    default=0.2,
                    min=0.01,
                    max=0.99,
                    step=0.01,
                    tooltip="Part of the picture's area that the words should take, 0 to 1; unused "
                    "with a reference.",
                ),
                advanced(
                    io.Float.Input(
                        "ratio",
                        default=1.0,
                        min=0.01,
                        max=100.0,
                        step=0.05,
                        tooltip="With a reference: how many times the area there (Self-Guidance "
                        "used 0.5 to 2).",
                    )
                ),
                *ending_inputs(),
                Reference.Input(
                    "reference",
                    optional=True,
                    tooltip="Another run: the words should take their area there times the ratio.",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls,
        tokens: Any,
        area: float,
        ratio: float,
        weight: float,
        layers: str,
        reference: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        target = area if reference is None else None
        return finished(Size(tokens, target, reference, ratio, layers_of(layers)), weight, None)


class EnergyShape(io.ComfyNode):
    """The outline of words."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyShape",
            display_name="Energy: Shape",
            category=CATEGORY,
            description="Low where the words fill an outline: a painted mask, or theirs in another "
            "run. " + HOW,
            search_aliases=("self guidance", "silhouette", "outline"),
            inputs=[
                *opening_inputs(),
                share("shift_x", 0.0, "How far to move the outline to the right.", -1.0),
                share("shift_y", 0.0, "How far to move the outline down.", -1.0),
                io.Float.Input(
                    "scale",
                    default=1.0,
                    min=0.05,
                    max=20.0,
                    step=0.05,
                    tooltip="Factor of the outline's width and height, about its centre; 1 keeps "
                    "it, as Self-Guidance does when it copies shapes.",
                ),
                *ending_inputs(),
                io.Mask.Input(
                    "outline", optional=True, tooltip="White is where the words should be."
                ),
                Reference.Input(
                    "reference",
                    optional=True,
                    tooltip="Another run: the words should have their outline there "
                    "(Self-Guidance). Connect this or a mask.",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls,
        tokens: Any,
        shift_x: float,
        shift_y: float,
        scale: float,
        weight: float,
        layers: str,
        outline: torch.Tensor | None = None,
        reference: Any = None,
    ) -> io.NodeOutput:
        """Build the energy."""
        mask = None if outline is None else normal(outline)
        energy = Shape(tokens, mask, reference, (shift_x, shift_y), scale, layers_of(layers))
        return finished(energy, weight, None)


class EnergyAppearance(io.ComfyNode):
    """How words look."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyAppearance",
            display_name="Energy: Appearance",
            category=CATEGORY,
            description="Low where the words look as they did in another run, wherever they are. "
            + HOW,
            search_aliases=("self guidance", "keep look", "identity"),
            inputs=[
                *opening_inputs(),
                Reference.Input(
                    "reference",
                    tooltip="Another run, with the words and features recorded (Self-Guidance).",
                ),
                *ending_inputs(),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(cls, tokens: Any, reference: Any, weight: float, layers: str) -> io.NodeOutput:
        """Build the energy."""
        return finished(Appearance(tokens, reference, layers_of(layers)), weight, None)


class EnergyBox(io.ComfyNode):
    """Words that keep to a box."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyBox",
            display_name="Energy: Box",
            category=CATEGORY,
            description="Low where the model sees the words inside a box. " + HOW,
            search_aliases=("layout guidance", "boxdiff", "bounding box", "region"),
            inputs=[
                *opening_inputs(),
                share("left", 0.1, "Left edge of the box."),
                share("top", 0.1, "Upper edge of the box."),
                share("right", 0.5, "Right edge of the box."),
                share("bottom", 0.5, "Lower edge of the box."),
                io.Combo.Input(
                    "loss",
                    options=list(LOSSES),
                    default="layout",
                    tooltip="layout: the attention that is not in the box (layout guidance). "
                    "boxdiff: strongest cells in, none out, edges at the corners (BoxDiff).",
                ),
                *ending_inputs(),
            ],
            outputs=outputs(),
        )

    @classmethod
    def validate_inputs(
        cls,
        left: float | None = None,
        top: float | None = None,
        right: float | None = None,
        bottom: float | None = None,
    ) -> bool | str:
        """Refuse an empty box when the workflow is queued."""
        for low, high, names in ((left, right, "left < right"), (top, bottom, "top < bottom")):
            if low is not None and high is not None and low >= high:
                return f"the box is empty: need {names}, got {low} and {high}"
        return True

    @classmethod
    def execute(
        cls,
        tokens: Any,
        left: float,
        top: float,
        right: float,
        bottom: float,
        loss: str,
        weight: float,
        layers: str,
    ) -> io.NodeOutput:
        """Build the energy."""
        energy = Box(tokens, (left, top, right, bottom), loss, layers_of(layers))
        return finished(energy, weight, None)


class EnergyPresence(io.ComfyNode):
    """Words that must not be forgotten."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyPresence",
            display_name="Energy: Presence",
            category=CATEGORY,
            description="Low where each of the words owns some place of the picture. " + HOW,
            search_aliases=("attend and excite", "missing object", "neglect"),
            inputs=[*opening_inputs(), *ending_inputs()],
            outputs=outputs(),
        )

    @classmethod
    def execute(cls, tokens: Any, weight: float, layers: str) -> io.NodeOutput:
        """Build the energy."""
        return finished(Presence(tokens, layers_of(layers)), weight, None)


class EnergyBinding(io.ComfyNode):
    """Words that belong together."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyBinding",
            display_name="Energy: Binding",
            category=CATEGORY,
            description="Low where words that belong together, such as a colour and its object, "
            "are seen in one place, and others elsewhere. " + HOW,
            search_aliases=("syngen", "divide and bind", "attribute binding", "color leak"),
            inputs=[
                Tokens.Input(
                    "tokens",
                    tooltip="Words that belong together, at least two, such as 'red' and 'circle' "
                    "as separate words (Divide and Bind).",
                ),
                *ending_inputs(),
                Tokens.Input(
                    "others",
                    optional=True,
                    tooltip="Words to keep apart from them, such as the other object and its "
                    "colour (SynGen).",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(cls, tokens: Any, weight: float, layers: str, others: Any = ()) -> io.NodeOutput:
        """Build the energy."""
        return finished(Binding(tokens, tuple(others), layers_of(layers)), weight, None)


class EnergyAttentionKeep(io.ComfyNode):
    """Attention as in another run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyAttentionKeep",
            display_name="Energy: Keep Attention",
            category=CATEGORY,
            description="Low where the prompt's words are seen where they were in another run, so "
            "that an edit keeps the layout. " + HOW,
            search_aliases=("pix2pix zero", "cross attention guidance", "keep layout"),
            inputs=[
                Reference.Input("reference", tooltip="The run to keep to (Pix2Pix-Zero)."),
                *ending_inputs(),
                Tokens.Input(
                    "tokens",
                    optional=True,
                    tooltip="Words to keep; without them every token of the prompt, as in "
                    "Pix2Pix-Zero.",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(cls, reference: Any, weight: float, layers: str, tokens: Any = ()) -> io.NodeOutput:
        """Build the energy."""
        energy = AttentionKeep(reference, tuple(tokens), layers_of(layers))
        return finished(energy, weight, None)


class EnergyFeatureKeep(io.ComfyNode):
    """Features as in another run."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyFeatureKeep",
            display_name="Energy: Keep Features",
            category=CATEGORY,
            description="Low where the model's activations are those of another run: content and "
            "structure stay. " + HOW,
            search_aliases=("plug and play", "dragondiffusion", "keep content"),
            inputs=[
                Reference.Input("reference", tooltip="The run to keep to, with its features."),
                weight_input(),
                advanced(
                    io.String.Input(
                        "layers",
                        default="default",
                        tooltip="Layers to read: default (the last block of a U-Net's decoder, as "
                        "in Self-Guidance; a block of the middle in SD3 and Flux), all, or names "
                        "with commas between; a wrong name lists the right ones.",
                    )
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White is what should stay; without one the whole picture. "
                    "DragonDiffusion keeps all but the edited area.",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls, reference: Any, weight: float, layers: str, mask: torch.Tensor | None = None
    ) -> io.NodeOutput:
        """Build the energy."""
        area = None if mask is None else normal(mask)
        return finished(FeatureKeep(reference, area, layers_of(layers)), weight, None)


NODES = [
    EnergyPosition,
    EnergySize,
    EnergyShape,
    EnergyAppearance,
    EnergyBox,
    EnergyPresence,
    EnergyBinding,
    EnergyAttentionKeep,
    EnergyFeatureKeep,
]
