"""A MODEL that is evaluated in tiles, each of a size that it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...guidance_core.image.tiles import Window, tiled

WRAPPER = "model_function_wrapper"


def in_tiles(model: Any, side: int, overlap: int) -> Any:
    """Return a clone of a MODEL whose estimates are blended from overlapping tiles.

    What the clone's guidance sees is the whole image.

    Arguments:
        model: MODEL, guided or not; a wrapper of another pack is called for each tile.
        side: of a tile in latent cells; images no larger are evaluated whole.
        overlap: of neighbouring tiles in latent cells, at least.
    """
    clone = model.clone()
    within = clone.model_options.get(WRAPPER, _plain)

    def evaluate(apply_model: Callable, given: dict[str, Any]) -> Tensor:
        x = given["input"]
        if max(x.shape[-2:]) <= side:
            return within(apply_model, given)
        if given["c"].get("control") is not None:
            raise ValueError(
                "a ControlNet cannot be evaluated in tiles: leave it out, or set the tile to the "
                "size of the result"
            )

        def one(tile: Tensor, window: Window) -> Tensor:
            c = {name: _cut(part, x, window) for name, part in given["c"].items()}
            return within(apply_model, {**given, "input": tile, "c": c})

        return tiled(one, x, side, overlap)

    clone.set_model_unet_function_wrapper(evaluate)
    return clone


def _plain(apply_model: Callable, given: dict[str, Any]) -> Tensor:
    found: Tensor = apply_model(given["input"], given["timestep"], **given["c"])
    return found


def _cut(part: Any, x: Tensor, window: Window) -> Any:
    """A tile of what lies over the image, such as the latent of an inpainting model."""
    if torch.is_tensor(part) and part.ndim == x.ndim and part.shape[-2:] == x.shape[-2:]:
        return part[..., window[0], window[1]]
    return part
