"""An image as the latent that a model works with."""

from __future__ import annotations

from typing import Any

import comfy.utils
from torch import Tensor

from .autograd.weights import normal
from .samplers import samples_of


def encoded(model: Any, vae: Any, image: Tensor, latent: dict[str, Any] | None = None) -> Tensor:
    """The latent of an image, shape (N, C, *S), model latent units; autograd may save it.

    Arguments:
        model: MODEL, whose scale of latents is used.
        vae: VAE that belongs to it.
        image: shape (N, 3, H, W) in [0, 1].
        latent: LATENT to whose size the image is scaled, what is too wide or too high cut off on
            both sides alike; None leaves the image as it is.
    """
    if latent is not None:
        height, width = samples_of(model, latent).shape[-2:]
        times = vae.spacial_compression_encode()
        width, height = width * times, height * times
        if image.shape[-2:] != (height, width):
            image = comfy.utils.common_upscale(image, width, height, "lanczos", "center")
    latent_of_it = vae.encode(image.movedim(1, -1))
    found: Tensor = normal(model.model.process_latent_in(latent_of_it).cpu())
    return found
