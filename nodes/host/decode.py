"""Latent to image inside the autograd graph: the VAE, or what stands in for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import comfy.sd
import comfy.utils
import folder_paths
import latent_preview
import torch
from comfy.taesd.taesd import TAESD
from torch import Tensor, nn

from .autograd import memory
from .autograd.weights import normal
from .fitted_decoder import FOLDER, FittedDecoder, file_of, fitted_decoder, name_of
from .latents import still_image
from .networks import managed
from .vae_decoder import VaeDecoder

CHOICES = ("auto", "vae", "taesd", "rgb", "fitted")
# Tiny decoders that the host's Load VAE knows, and its latent formats do not name.
UNNAMED = {"LTXAV": "taeltx_2"}


@dataclass(frozen=True, eq=False)
class TaesdDecoder:
    """The tiny autoencoder of models/vae_approx: nearly the VAE's image, far less memory."""

    network: nn.Module
    patcher: Any
    name: str = "taesd"
    parts: bool = False

    @property
    def patchers(self) -> list[Any]:
        """Models that the host has to load."""
        return [self.patcher]

    def graph_bytes(self, shape: torch.Size) -> float:
        """Bytes that the graph saves: some 40 layers of 64 channels at 8 x 8 pixels per latent."""
        return 40 * 64 * 64 * 4 * shape[0] * shape[-1] * shape[-2]

    def __call__(self, x0: Tensor) -> Tensor:
        """Decode x0 (B, C, H, W), model latent units, to an image (B, 3, 8H, 8W) in [0, 1]."""
        x0 = x0.squeeze(2) if x0.ndim == 5 else x0
        weight = next(self.network.parameters())
        with memory.explained("TAESD"):
            image = self.network.decode(x0.to(weight.device, weight.dtype))
        return still_image(((image.to(x0.device, torch.float32) + 1) / 2).clamp(0, 1))


@dataclass(frozen=True, eq=False)
class RgbDecoder:
    """The linear map to RGB that the host's previews use: small, blurry, nearly free."""

    latent_format: Any
    patchers: tuple[()] = ()
    name: str = "rgb"
    parts: bool = False

    def graph_bytes(self, shape: torch.Size) -> float:
        """Bytes that the graph of one decoding saves."""
        return 0.0

    def __call__(self, x0: Tensor) -> Tensor:
        """Map x0 (B, C, H, W), model latent units, to an image (B, 3, H, W) in [0, 1]."""
        decoded = getattr(self.latent_format, "previews_decoded", False)
        reshape = getattr(self.latent_format, "latent_rgb_factors_reshape", None)
        x0 = x0.float() if decoded or reshape is None else reshape(x0.float())
        factors = torch.tensor(self.latent_format.latent_rgb_factors, device=x0.device).float()
        bias = getattr(self.latent_format, "latent_rgb_factors_bias", None)
        image = torch.einsum("bc...,cr->br...", x0, factors)
        if bias is not None:
            image = image + torch.tensor(bias, device=x0.device).view(3, *[1] * (image.ndim - 2))
        return still_image(((image + 1) / 2).clamp(0, 1))


def decoder(choice: str, vae: Any, latent_format: Any, *, exact: bool = False) -> Any:
    """Return the decoder of the user's choice; None for "auto" where there is none.

    "auto" is the first there is of: the family's tiny decoder in models/vae_approx, a fast decoder
    fitted to these latents, the VAE.

    Arguments:
        choice: "auto", "vae", "taesd", "rgb" or "fitted".
        vae: the host's VAE, or None.
        latent_format: the model's latent format.
        exact: whether "auto" has to be the VAE.

    Raises:
        ValueError: what was chosen is not available; the message says what to do.
    """
    if choice not in CHOICES:
        raise ValueError(f"decoder must be one of {', '.join(CHOICES)}, got {choice}")
    own = None if vae is None or choice in ("taesd", "rgb") else _vae(vae, latent_format)
    if choice == "taesd" or (choice == "auto" and not exact and _tiny_file(latent_format)):
        return _taesd(latent_format)
    if choice == "rgb":
        return _rgb(latent_format)
    if choice == "fitted" or (choice == "auto" and not exact and file_of(latent_format)):
        return _fitted(latent_format, own)
    if choice == "vae" and own is None:
        raise ValueError(
            "decoder 'vae' needs a VAE, got none: connect one, or choose 'taesd' or 'rgb'"
        )
    return own


def _vae(vae: Any, latent_format: Any) -> VaeDecoder:
    for attribute in ("first_stage_model", "patcher", "vae_dtype", "process_output"):
        if getattr(vae, attribute, None) is None:
            raise ValueError(
                f"expected a loaded VAE, got {type(vae).__name__} without {attribute}: use Load VAE"
            )
    expected = getattr(vae, "latent_channels", latent_format.latent_channels)
    if expected != latent_format.latent_channels:
        raise ValueError(
            f"the VAE decodes latents of {expected} channels, the model's have "
            f"{latent_format.latent_channels}: connect the VAE that belongs to the model"
        )
    return VaeDecoder(vae, latent_format)


def _rgb(latent_format: Any) -> RgbDecoder:
    if latent_format.latent_rgb_factors is None:
        raise ValueError(
            f"decoder 'rgb' needs RGB factors, {type(latent_format).__name__} latents have none: "
            "connect a VAE and choose 'vae', or choose 'taesd'"
        )
    return RgbDecoder(latent_format)


def _fitted(latent_format: Any, exact: VaeDecoder | None) -> FittedDecoder:
    path = file_of(latent_format)
    if path is None:
        raise ValueError(
            f"decoder 'fitted' needs a fast decoder of {name_of(latent_format)} latents in "
            "models/vae_approx, found none: make one with Fit Fast Decoder, or choose 'auto'"
        )
    videos = getattr(latent_format, "latent_dimensions", 2) == 3
    return fitted_decoder(path, exact if videos else None)


def decoder_files() -> list[str]:
    """Files in models/vae_approx, among which there may be a decoder of some latents."""
    return list(folder_paths.get_filename_list(FOLDER))


def _tiny_name(latent_format: Any) -> str | None:
    """What the file of a family's tiny decoder begins with; None where there is no such decoder."""
    return latent_format.taesd_decoder_name or UNNAMED.get(name_of(latent_format))


def _tiny_file(latent_format: Any) -> str | None:
    """The tiny decoder of a family in models/vae_approx, as the host's previews find it."""
    name, files = _tiny_name(latent_format), folder_paths.get_filename_list(FOLDER)
    return next((file for file in files if name is not None and file.startswith(name)), None)


def _taesd(latent_format: Any) -> TaesdDecoder | VaeDecoder:
    name, found = _tiny_name(latent_format), _tiny_file(latent_format)
    if found is None:
        files = folder_paths.get_filename_list(FOLDER)
        raise ValueError(
            f"decoder 'taesd' needs models/vae_approx/{name or '(none exists for this model)'}, "
            f"found {', '.join(files) or 'no files there'}: "
            "download it there, or choose 'vae' or 'rgb'"
        )
    path = folder_paths.get_full_path(FOLDER, found)
    if name in getattr(latent_preview, "VIDEO_TAES", ()):
        tiny = comfy.sd.VAE(sd=comfy.utils.load_torch_file(path, safe_load=True))
        return replace(_vae(tiny, latent_format), name=found)
    with torch.inference_mode(False):
        network = TAESD(None, None, latent_channels=latent_format.latent_channels)
        network.taesd_decoder.load_state_dict(
            normal(dict(comfy.utils.load_torch_file(path, safe_load=True)))
        )
        network.taesd_encoder = None
        network.eval().requires_grad_(False)
    return TaesdDecoder(network, managed(network), found)
