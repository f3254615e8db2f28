"""The VAE as a decoder inside the autograd graph."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from comfy.ldm.modules.diffusionmodules.model import AttnBlock, ResnetBlock
from torch import Tensor, nn

from ...guidance_core.noise import seeded
from .autograd import memory
from .autograd.recompute import recomputed
from .autograd.weights import normal
from .latents import still_image

# Latent frames that a VAE of videos is given before one to decode it by, as many as the host's VAE
# Decode (Tiled) overlaps; measured in docs/video.md.
CONTEXT = 2


def differentiable(thing: Any) -> Any:
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
        name: what it is, in words.
        parts: see `Estimate.decode`.
    """

    vae: Any
    latent_format: Any
    name: str = "vae"
    parts: bool = False

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
        raw = differentiable(self.latent_format).process_out(x0.float())
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
        return differentiable(self.latent_format).process_in(latent)

    @property
    def _of_videos(self) -> bool:
        """Whether the VAE takes videos, an image as one of one frame."""
        return getattr(self.vae, "latent_dim", 2) == 3
