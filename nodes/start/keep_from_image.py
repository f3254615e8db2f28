"""Keeps the layout or the look of an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from comfy_api.latest import io

from ...guidance_core.attention.references import Shown
from ...guidance_core.captures import DEFAULT
from ...guidance_core.energies.layout import Layout
from ...guidance_core.energies.look import Look
from ...guidance_core.rules.beside import Beside
from ...guidance_core.rules.forward import Forward
from ...guidance_core.schedules import PercentWindow, Scaled
from ..host.encode import encoded
from ..host.reading.layouts import layout_of
from ..inputs.energy import channels_first
from ..inputs.sockets import advanced, schema
from ..inputs.start import (
    CATEGORY,
    amount_of,
    guided,
    model_input,
    outputs,
    recurrence_input,
    strength_inputs,
)


class Kept(NamedTuple):
    """What is kept: its energy of a MODEL and a reference, medium strength, and where it acts."""

    energy: Callable[[Any, Any], Any]
    medium: float
    window: PercentWindow


def layout(model: Any, there: Any) -> Layout:
    """The layout, by the layers of a MODEL that tell it best."""
    return Layout(there, layout_of(model.model.diffusion_model).structure or DEFAULT)


# As measured on Shapes, see docs/strengths.md.
KEPT = {
    "layout": Kept(layout, 4.0, PercentWindow(0.0, 0.6, "linear_down")),
    "look": Kept(lambda model, there: Look(there), 2.0, PercentWindow(0.2, 1.0, "linear_down")),
}


class KeepFromImage(io.ComfyNode):
    """Keeps the layout or the look of an image."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGKeepFromImage",
            display_name="Keep from Image",
            category=CATEGORY,
            description="Keeps the layout or the look of an image while the prompt makes a new "
            "one: between the model's loader and the sampler.",
            search_aliases=("guidance", "keep layout", "plug and play", "start here"),
            inputs=[
                model_input(),
                io.Image.Input("image", tooltip="The image that something is kept of."),
                io.Vae.Input("vae", tooltip="The model's own VAE; it encodes the image."),
                io.Combo.Input(
                    "keep",
                    options=list(KEPT),
                    default="layout",
                    tooltip="What is kept. layout: where things are, whatever they look like. "
                    "look: colours and textures, wherever things are. Both by what the model "
                    "itself makes of the image, without another network.",
                ),
                *strength_inputs(),
                io.Latent.Input(
                    "latent_image",
                    optional=True,
                    tooltip="The sampler's latent_image: the image is cut and scaled to its size. "
                    "Without it the image must have the size that is sampled.",
                ),
                advanced(recurrence_input()),
            ],
            outputs=outputs(),
            # Its monitor draws on this node: another node of the same inputs needs one of its own.
            not_idempotent=True,
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        image: torch.Tensor,
        vae: Any,
        keep: str,
        strength: str,
        amount: float,
        latent_image: dict[str, Any] | None = None,
        recurrences: int = 1,
    ) -> io.NodeOutput:
        """Guide a clone of the model."""
        kept, size = KEPT[keep], amount_of(strength, amount)
        if not size:
            return guided(model, [], recurrences)
        rule = Forward(kept.energy(model, Shown()), Scaled(kept.window, kept.medium * size))
        latent = encoded(model, vae, channels_first(image, "image"), latent_image)
        return guided(model, [Beside(rule, latent)], recurrences)
