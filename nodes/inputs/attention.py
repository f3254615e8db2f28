"""What nodes of attention energies share: their first and last inputs, and their output."""

from __future__ import annotations

from comfy_api.latest import io

from .energy import weight_input
from .sockets import Energy, Tokens, advanced

CATEGORY = "guidance/energies"
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


def angle_input(what: str) -> io.Input:
    """How far something is turned; workflows of earlier versions do without."""
    return io.Float.Input(
        "angle",
        default=0.0,
        min=-180.0,
        max=180.0,
        step=1.0,
        optional=True,
        tooltip=f"Degrees by which the {what} is turned about its centre, clockwise; the papers "
        "have 0.",
    )


def layers_of(text: str) -> str | tuple[str, ...]:
    """What the layers widget means."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return names[0] if names in (("default",), ("all",)) else names
