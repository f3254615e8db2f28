"""Shows where the model looks for each word."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from comfy_api.latest import io, ui

from ...guidance_core.attention.heatmaps import heatmaps
from ..host.browser import viewer
from ..inputs.sockets import Reference, Tokens, schema
from .figures import sheet


class ShowAttention(io.ComfyNode):
    """Shows where the model looks for each word."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Widgets and sockets."""
        return schema(
            "EGShowAttention",
            display_name="Show Attention",
            category="guidance/diagnose",
            description="Shows where the model looks for each word, drawn over the image, "
            "from the first recorded noise level to the last.",
            search_aliases=("attention map", "heat map", "daam"),
            is_output_node=True,
            inputs=[
                Reference.Input("reference", tooltip="From Record Reference, with maps."),
                Tokens.Input("tokens", tooltip="The words to show, from Prompt Words."),
                io.Int.Input(
                    "columns",
                    default=5,
                    min=1,
                    max=100,
                    tooltip="Number of noise levels to show, evenly spread from the first to "
                    "the last, 1 to 100. The layout forms in the first ones.",
                ),
                io.Image.Input(
                    "image", optional=True, tooltip="The source image, to draw the maps over."
                ),
            ],
            outputs=[
                io.Image.Output(
                    tooltip="One sheet per image: one row per word, one column per noise level."
                )
            ],
        )

    @classmethod
    def execute(cls, reference: Any, tokens: Any, columns: int, image: Any = None) -> io.NodeOutput:
        """Draw the maps."""
        recorded = sorted(reference.recorded, reverse=True)
        places = np.linspace(0, len(recorded) - 1, min(columns, len(recorded))).round().astype(int)
        sigmas = [recorded[place] for place in places]
        size = tuple(8 * side for side in reference.size) if image is None else image.shape[1:3]
        maps = torch.stack([heatmaps(reference, tokens, sigma, tuple(size)) for sigma in sigmas])
        if image is not None and len(image) != maps.shape[1]:
            raise ValueError(
                f"image must have the {maps.shape[1]} images of the reference, got {len(image)}: "
                "connect the images that were recorded"
            )
        words = [word.text for word in tokens]
        backgrounds = [None] * maps.shape[1] if image is None else image.cpu()
        sheets = [sheet(maps[:, i], words, sigmas, below) for i, below in enumerate(backgrounds)]
        images = torch.cat(sheets)
        if viewer.asked():  # it shows the same maps, one by one
            return io.NodeOutput(images, ui=viewer.saved_maps(reference, tokens, image))
        return io.NodeOutput(images, ui=ui.PreviewImage(images, cls=cls).as_dict())
