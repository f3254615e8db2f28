"""What the nodes of attention energies share: first and last inputs, and the output."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ...guidance_core.attention.references import MOMENTS
from ...guidance_core.attention.self_guidance import MEASURES
from ...guidance_core.captures import HEADS
from .energy import weight_input
from .sockets import Energy, Tokens, advanced

HOW = "Needs a rule that goes through the model, such as Rule: Forward or Rule: Latent Update."
TOKENS_TIP = (
    "Words of the positive prompt, from Prompt Words; the attention to several words is "
    "averaged. Choose the word whose attention fills the object (Show Attention tells): "
    "mostly the noun, in Shapes the colour."
)


def opening_inputs() -> list[io.Input]:
    """The first inputs of an energy of words."""
    return [Tokens.Input("tokens", tooltip=TOKENS_TIP)]


def source_tokens_input() -> io.Input:
    """Words of a recorded prompt; optional, because workflows of earlier versions lack it."""
    return Tokens.Input(
        "source_tokens",
        optional=True,
        tooltip="The words in the prompt of the reference, from another Prompt Words, where that "
        "prompt is another: as many as tokens, in the same order. Without them the words stand "
        "at the same places in both prompts.",
    )


def moment_input() -> io.Input:
    """When a recording is looked at; optional, because workflows of earlier versions lack it."""
    return advanced(
        io.Combo.Input(
            "moment",
            options=list(MOMENTS),
            default=MOMENTS[0],
            optional=True,
            tooltip="When the reference is looked at. same step: at the sample's own noise level, "
            "which suits a source of the same seed. last step: as the source ended, where every "
            "object has its place; better for a source of another seed.",
        )
    )


def source_of(tokens: Any) -> tuple[Any, ...]:
    """Words of a recorded prompt, without it: the run reads no other prompt than its own."""
    return tuple(replace(word, context=None) for word in tokens or ())


def ending_inputs() -> list[io.Input]:
    """The last inputs of an attention energy: weight and layers."""
    return [
        weight_input(),
        advanced(
            io.String.Input(
                "layers",
                default="default",
                tooltip="Attention layers to read. default suits the model: the 16 x 16 "
                "layers of SD 1 and 2, decoder layers of SDXL, the middle third of the "
                "blocks of transformers (the double blocks, where there are two kinds). "
                "all: every layer. Or names, separated by "
                "commas; a wrong name gives an error that lists the right ones.",
            )
        ),
    ]


def outputs() -> list[io.Output]:
    """The one output of every energy."""
    return [Energy.Output(display_name="energy", tooltip="For a rule that goes through the model.")]


def share(name: str, default: float, tooltip: str, least: float = 0.0) -> io.Input:
    """A fraction of the image's width or height, at most 1."""
    return io.Float.Input(name, default=default, min=least, max=1.0, step=0.01, tooltip=tooltip)


def angle_input(what: str) -> io.Input:
    """Rotation in degrees; optional, because workflows of earlier versions lack it."""
    return io.Float.Input(
        "angle",
        default=0.0,
        min=-180.0,
        max=180.0,
        step=1.0,
        optional=True,
        tooltip=f"Turns the {what} about its centre, clockwise, in degrees from -180 to 180; 0 "
        "leaves it upright.",
    )


def heads_input(tip: str) -> io.Input:
    """Attention by head; optional, because workflows of earlier versions lack it."""
    return advanced(
        io.Combo.Input("heads", options=list(HEADS), default="mean", optional=True, tooltip=tip)
    )


def measure_input(published: str, further: tuple[str, ...] = ()) -> io.Input:
    """Ours or Self-Guidance's; optional, because workflows of earlier versions lack it.

    `published` ends the tip on it; `further` are other measures and what the tip says of them.
    """
    return advanced(
        io.Combo.Input(
            "measure",
            options=[*MEASURES, *further[:1]],
            default="adapted",
            optional=True,
            tooltip="How it is measured. adapted: word by word, as this pack does it. published: "
            f"token by token, as Self-Guidance does it, {published}.{''.join(further[1:])}",
        )
    )


def layers_of(text: str) -> str | tuple[str, ...]:
    """Layers named by the widget's text: 'default', 'all' or a tuple of names."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return names[0] if names in (("default",), ("all",)) else names
