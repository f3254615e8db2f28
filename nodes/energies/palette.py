"""Gives the image the colours of a list or of a reference."""

from __future__ import annotations

import re

import torch
from comfy_api.latest import io

from ...guidance_core.energies.color_histogram import ColorHistogram
from ...guidance_core.energies.palette import Palette
from ..inputs.energy import (
    OUTPUTS,
    channels_first,
    closing_inputs,
    fault_of,
    finished,
    normal,
    reference_input,
)
from ..inputs.faults import missing_fault
from ..inputs.sockets import schema


class EnergyPalette(io.ComfyNode):
    """Gives the image the colours of a list or of a reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGEnergyPalette",
            display_name="Energy: Palette",
            category="guidance/what",
            description="Limits the image to a few colours or, with a reference, gives it "
            "the reference's colours in the same amounts. Needs no network.",
            search_aliases=("color palette", "histogram", "colour", "color match"),
            inputs=[
                io.String.Input(
                    "colors",
                    default="#282c34 #dc322f #fadc32",
                    tooltip="Wanted colours as #rrggbb, separated by spaces or commas. The "
                    "model chooses how much of each. Not used with a reference.",
                ),
                *closing_inputs(),
                reference_input(
                    "Image that gives the colours and their amounts, in place of the list.",
                    optional=True,
                ),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def validate_inputs(cls, colors: str | None = None) -> bool | str:
        """Refuse what is not a colour when the workflow is queued."""
        if colors is None:
            return True
        # Empty ones are fine beside a reference.
        empty = not colors.strip() and missing_fault("reference", "without colors")
        return empty or (colors.strip() and fault_of(palette, colors)) or True

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
            return finished(ColorHistogram(channels_first(reference)), weight, mask)
        return finished(Palette(normal(palette(colors))), weight, mask)


def palette(text: str) -> torch.Tensor:
    """Colours (N, 3) in [0, 1] of a text such as '#ff0000 #00ff00'."""
    parts = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    wrong = [part for part in parts if not re.fullmatch(r"#?[0-9a-fA-F]{6}", part)]
    if wrong or not parts:
        raise ValueError(
            f"colors must be #rrggbb separated by spaces or commas, got "
            f"{wrong[0] if wrong else 'none'}: write them as '#ff0000 #00ff00'"
        )
    hexes = [part.removeprefix("#") for part in parts]
    return torch.tensor([[int(h[i : i + 2], 16) / 255 for i in (0, 2, 4)] for h in hexes])
