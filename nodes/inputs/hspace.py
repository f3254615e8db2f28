"""Inputs of training a direction in h-space."""

from __future__ import annotations

from comfy_api.latest import io

from .sampling import VAE_TIP
from .sockets import Network


def training_inputs() -> list[io.Input]:
    """A guide, its decoder, the learning rate, the window and the file's name."""
    return [
        Network.Input(
            "network",
            optional=True,
            tooltip="A CLIP model, from Load Guide: open_clip. Only for by CLIP.",
        ),
        io.Vae.Input("vae", optional=True, tooltip=f"{VAE_TIP} Only for by CLIP."),
        io.Float.Input(
            "rate",
            default=0.01,
            min=0.0001,
            max=1.0,
            step=0.001,
            round=0.0001,
            optional=True,
            tooltip="Learning rate of trained: higher learns in fewer runs, too high spoils "
            "the images.",
        ),
        io.Float.Input(
            "keep",
            default=1.0,
            min=0.0,
            max=100.0,
            step=0.1,
            optional=True,
            tooltip="How much of the image should stay: higher changes less. Only for by CLIP.",
        ),
        *_window_inputs(),
        io.String.Input(
            "name",
            default="direction",
            optional=True,
            tooltip="Name of the file of a trained direction in models/guidance. An older "
            "direction of this name is replaced when the new one is ready.",
        ),
    ]


def _window_inputs() -> list[io.Input]:
    fraction = {"min": 0.0, "max": 1.0, "step": 0.01, "optional": True}
    return [
        io.Float.Input(
            "train_start",
            default=0.0,
            **fraction,
            tooltip="From where in a run trained learns, from 0 (pure noise) to 1; use the "
            "same edit_start in h-space Edit. Later keeps the layout.",
        ),
        io.Float.Input(
            "train_end",
            default=1.0,
            **fraction,
            tooltip="Until where in a run trained learns; use the same edit_end in h-space Edit.",
        ),
    ]
