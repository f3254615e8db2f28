"""The embedded model's latents: their scale, their preview, and the decoder that comes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.latent_formats
import torch

from ...guidance_core.networks.fast_decoder import load as load_fast_decoder
from .networks import ASSETS


class ShapesLatent(comfy.latent_formats.LatentFormat):
    """Scale, preview colours and fast decoder of the embedded model's latents.

    Their colours lie in no cell alone: a linear map, even of products of channels, shows brightness
    only. So what the host's previews map linearly comes of the fast decoder, where the host lets a
    format say how (`latent_rgb_factors_reshape`); the decoder `rgb` keeps the linear map.

    Arguments:
        config: of its VAE.
        folder: holds the fast decoder.
    """

    previews_decoded = True

    def __init__(self, config: dict[str, Any], folder: Path = ASSETS) -> None:
        self.fast_decoder_file = folder / "fast_decoder.safetensors"
        self.decode: Any = None
        self.scale_factor = config["scaling_factor"]
        self.latent_channels = config["latent_channels"]
        self.latent_rgb_factors = config.get("latent_rgb_factors")
        self.latent_rgb_factors_bias = config.get("latent_rgb_bias")
        if self.fast_decoder_file.is_file():
            self.latent_rgb_factors_reshape = self.unmapped

    def unmapped(self, x0: torch.Tensor) -> torch.Tensor:
        """Channels (1, 4, 8H, 8W) that the linear map takes to the first image of x0."""
        self.decode = self.decode or load_fast_decoder(self.fast_decoder_file).cpu()
        image = 2 * self.decode(x0[:1].float().cpu()) - 1
        back = torch.linalg.pinv(torch.tensor(self.latent_rgb_factors).T)
        bias = torch.tensor(self.latent_rgb_factors_bias).view(3, 1, 1)
        return torch.einsum("cr,brhw->bchw", back, image - bias).to(x0)
