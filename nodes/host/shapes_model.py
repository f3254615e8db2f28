"""A network of the embedded model as a MODEL, by one of the host's recipes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.utils

from .shapes_files import config_of
from .shapes_latent import ShapesLatent


def model_of(
    folder: Path, recipe: Any, weights: dict[str, Any], build: Callable[[Any], Any]
) -> Any:
    """Return the MODEL that `build` makes of a recipe, with these weights.

    Arguments:
        folder: of the embedded model.
        recipe: a configuration of the host; it is given latents and types of numbers.
        weights: by the host's names.
        build: the host's model of a recipe.
    """
    device = comfy.model_management.get_torch_device()
    dtype = comfy.model_management.unet_dtype(
        model_params=comfy.utils.calculate_parameters(weights)
    )
    recipe.latent_format = ShapesLatent(config_of(folder, "vae"), folder)
    recipe.set_inference_dtype(dtype, comfy.model_management.unet_manual_cast(dtype, device))
    model = build(recipe)
    model.diffusion_model.load_state_dict(weights)
    offload = comfy.model_management.unet_offload_device()
    model.to(offload)
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=offload)
