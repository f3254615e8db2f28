"""Latent to image inside the autograd graph: the VAE, TAESD, or linear RGB factors."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import comfy.sd
import comfy.utils
import folder_paths
import latent_preview
import torch
from comfy.ldm.modules.diffusionmodules.model import AttnBlock, ResnetBlock
from comfy.taesd.taesd import TAESD
from torch import Tensor, nn

from ...guidance_core.noise import seeded
from .autograd import memory
from .autograd.recompute import recomputed
from .autograd.weights import normal
from .latents import still_image
from .networks import managed

CHOICES = ("auto", "vae", "taesd", "rgb")
# Latent frames that a VAE of videos is given before one to decode it by, as many as the host's VAE
# Decode (Tiled) overlaps; measured in docs/video.md.
CONTEXT = 2


def _differentiable(thing: Any) -> Any:
    """A shallow copy of an object without inference tensors among its attributes."""
    twin = copy.copy(thing)
    for name, value in vars(thing).items():
        twin.__dict__[name] = normal(value)
    return twin


@contextlib.contextmanager
def _repeatable(network: nn.Module) -> Iterator[None]:
    """Let a decoder of videos draw the same noise each time (LTX), and keep its graph.

    The tiny ones cut it between the images of a frame, unless they decode all of them at once.
    """
    parallel = vars(network).get("parallel")
    try:
        if parallel is not None:
            network.parallel = True
        with seeded(0, next(network.parameters()).device):
            yield
    finally:
        if parallel is not None:
            network.parallel = parallel


@dataclass(frozen=True, eq=False)
class VaeDecoder:
    """The full VAE, as VAE Decode would run it, but differentiable.

    Arguments:
        vae: the host's VAE.
        latent_format: the model's latent format.
    """

    vae: Any
    latent_format: Any

    @property
    def patchers(self) -> list[Any]:
        """Models that the host has to load."""
        return [self.vae.patcher]

    def graph_bytes(self, shape: torch.Size) -> float:
        """Bytes that the graph of one decoding saves, for latents of this shape."""
        if len(shape) == 5:  # decoded one by one
            shape = torch.Size([*shape[:2], min(shape[2], 1 + CONTEXT), *shape[3:]])
        one = self.vae.memory_used_decode(shape, self.vae.vae_dtype)
        return memory.DECODE_GRAPH * shape[0] * one

    def __call__(self, x0: Tensor) -> Tensor:
        """Decode x0 (B, C, *S) of an image, model latent units, to (B, 3, H, W) in [0, 1]."""
        return still_image(self._decoded(x0))

    def frame(self, x0: Tensor, index: int) -> Tensor:
        """Decode one latent frame of a video x0 (B, C, T, h, w) to an image (B, 3, H, W) in [0, 1].

        It is decoded by the frames around it that the VAE needs, to several images, of which the
        last is taken: so the first and the last frame give the first and the last image.
        """
        if not self._of_videos:
            return self(x0[:, :, index : index + 1])
        first = max(0, index - CONTEXT)
        # Causal decoders look at what was before alone.
        causal = getattr(getattr(self.vae.first_stage_model, "decoder", None), "causal", True)
        last = index if causal else index + CONTEXT
        images = self._decoded(x0[:, :, first : last + 1])
        latents = min(last, x0.shape[2] - 1) - first
        each = (images.shape[2] - 1) // latents if latents else 1
        return still_image(images[:, :, : (index - first) * each + 1])

    def _decoded(self, x0: Tensor) -> Tensor:
        """An image, or the images (B, 3, T', H, W) of a video, values in [0, 1]."""
        network = self.vae.first_stage_model
        raw = _differentiable(self.latent_format).process_out(x0.float())
        latent = raw.to(self.vae.device, self.vae.vae_dtype)
        if latent.ndim == 5 and not self._of_videos:
            latent = latent.squeeze(2)
        tight = memory.is_short_of(self.graph_bytes(latent.shape), self.vae.device)
        blocks = [m for m in network.modules() if isinstance(m, (ResnetBlock, AttnBlock))]
        sparing = recomputed(blocks if tight else (), contextlib.nullcontext)
        repeatable = _repeatable(network) if self._of_videos else contextlib.nullcontext()
        with sparing, repeatable, memory.explained("the VAE"):
            image = network.decode(latent).to(x0.device, torch.float32)
        decoded: Tensor = self.vae.process_output(image.clone())
        return decoded.clamp(0, 1)

    def encode(self, image: Tensor) -> Tensor:
        """Encode an image (B, 3, H, W) in [0, 1] to x0 (B, C, *S), without sampling.

        Where the model's latents are of videos, x0 is that of one frame.
        """
        pixels = self.vae.process_input(image).to(self.vae.device, self.vae.vae_dtype)
        if self._of_videos:
            pixels = pixels.unsqueeze(2)
        with memory.explained("the VAE"):
            latent = self.vae.first_stage_model.encode(pixels).to(image.device, torch.float32)
        if latent.ndim == 4 and self.latent_format.latent_dimensions == 3:
            latent = latent.unsqueeze(2)
        return _differentiable(self.latent_format).process_in(latent)

    @property
    def _of_videos(self) -> bool:
        """Whether the VAE takes videos, an image as one of one frame."""
        return getattr(self.vae, "latent_dim", 2) == 3


@dataclass(frozen=True, eq=False)
class TaesdDecoder:
    """The tiny autoencoder of models/vae_approx: nearly the VAE's image, far less memory."""

    network: nn.Module
    patcher: Any

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

    def graph_bytes(self, shape: torch.Size) -> float:
        """Bytes that the graph of one decoding saves."""
        return 0.0

    def __call__(self, x0: Tensor) -> Tensor:
        """Map x0 (B, C, H, W), model latent units, to an image (B, 3, H, W) in [0, 1]."""
        reshape = getattr(self.latent_format, "latent_rgb_factors_reshape", None)
        x0 = x0.float() if reshape is None else reshape(x0.float())
        factors = torch.tensor(self.latent_format.latent_rgb_factors, device=x0.device).float()
        bias = getattr(self.latent_format, "latent_rgb_factors_bias", None)
        image = torch.einsum("bc...,cr->br...", x0, factors)
        if bias is not None:
            image = image + torch.tensor(bias, device=x0.device).view(3, *[1] * (image.ndim - 2))
        return still_image(((image + 1) / 2).clamp(0, 1))


def decoder(
    choice: str, vae: Any, latent_format: Any
) -> VaeDecoder | TaesdDecoder | RgbDecoder | None:
    """Return the decoder of the user's choice; None for "auto" without a VAE.

    Arguments:
        choice: "auto" (the VAE where one is connected), "vae", "taesd" or "rgb".
        vae: the host's VAE, or None.
        latent_format: the model's latent format.

    Raises:
        ValueError: what was chosen is not available; the message says what to do.
    """
    if choice not in CHOICES:
        raise ValueError(f"decoder must be one of {', '.join(CHOICES)}, got {choice}")
    if choice == "taesd":
        return _taesd(latent_format)
    if choice == "rgb":
        return _rgb(latent_format)
    if vae is not None:
        return _vae(vae, latent_format)
    if choice == "vae":
        raise ValueError(
            "decoder 'vae' needs a VAE, got none: connect one, or choose 'taesd' or 'rgb'"
        )
    return None


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


def _taesd(latent_format: Any) -> TaesdDecoder | VaeDecoder:
    name = latent_format.taesd_decoder_name
    files = folder_paths.get_filename_list("vae_approx")
    found = next((file for file in files if name is not None and file.startswith(name)), None)
    if found is None:
        raise ValueError(
            f"decoder 'taesd' needs models/vae_approx/{name or '(none exists for this model)'}, "
            f"found {', '.join(files) or 'no files there'}: "
            "download it there, or choose 'vae' or 'rgb'"
        )
    path = folder_paths.get_full_path("vae_approx", found)
    if name in getattr(latent_preview, "VIDEO_TAES", ()):
        return _vae(
            comfy.sd.VAE(sd=comfy.utils.load_torch_file(path, safe_load=True)), latent_format
        )
    with torch.inference_mode(False):
        network = TAESD(None, None, latent_channels=latent_format.latent_channels)
        network.taesd_decoder.load_state_dict(
            normal(dict(comfy.utils.load_torch_file(path, safe_load=True)))
        )
        network.taesd_encoder = None
        network.eval().requires_grad_(False)
    return TaesdDecoder(network, managed(network))
