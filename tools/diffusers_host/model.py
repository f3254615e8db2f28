"""The networks of Shapes: the diffusion model, and the guide networks that come with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel

from guidance_core.networks import (
    classifier,
    clip,
    detector,
    face,
    fast_decoder,
    noisy_classifier,
    segmenter,
    vit,
)
from tools.shapes import text

WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "shapes"
THREE_OBJECTS = WEIGHTS / "three_objects.safetensors"  # a LoRA; without it Shapes holds two
TURBO = WEIGHTS / "turbo.safetensors"  # a LoRA for 4 to 8 steps of the sampler lcm at CFG 1
FAST_DECODER = WEIGHTS / "fast_decoder.safetensors"  # fitted to the VAE
DECODERS = ("vae", "fitted")
PARTS = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
}
GUIDES = {
    "classifier": classifier,
    "detector": detector,
    "face_encoder": face,
    "noisy_classifier": noisy_classifier,
    "open_clip": clip,
    "segmenter": segmenter,
    "vit": vit,
}


@dataclass(frozen=True)
class Shapes:
    """The parts of the embedded model, frozen, on one device."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.unet.device

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Text embedding (N, 77, 64) of prompts."""
        with torch.no_grad():
            return self.text_encoder(text.tokens(prompts).to(self.device)).last_hidden_state

    def decode(self, x0: Tensor) -> Tensor:
        """Image (B, 3, H, W) in [0, 1] of latents in the U-Net's units; differentiable."""
        image = self.vae.decode(x0 / self.vae.config.scaling_factor).sample
        return (image / 2 + 0.5).clamp(0, 1)

    def decoder(self, kind: str) -> Callable[[Tensor], Tensor]:
        """What decodes for energies, as the widget of that name: "vae" or "fitted".

        Raises:
            ValueError: another name.
        """
        if kind not in DECODERS:
            raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, got '{kind}'")
        return self.decode if kind == "vae" else _fast(self.device)

    def images(self, x0: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] of latents, without a graph, on the CPU."""
        with torch.no_grad():
            return self.decode(x0).cpu()

    def latents(self, images: Tensor) -> Tensor:
        """Latents (B, 4, h, w) in the U-Net's units of images (B, 3, H, W) in [0, 1]."""
        with torch.no_grad():
            mean = self.vae.encode(images.to(self.device) * 2 - 1).latent_dist.mean
        return mean * self.vae.config.scaling_factor


def load(weights: Path = WEIGHTS, device: torch.device | str | None = None) -> Shapes:
    """Load the embedded model in float32.

    Raises:
        FileNotFoundError: the weights are not there.
    """
    if not (weights / "unet").is_dir():
        raise FileNotFoundError(
            f"no weights of Shapes under {weights}: restore assets/ from the repository"
        )
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    loaded = {
        name: kind.from_pretrained(weights / name, torch_dtype=torch.float32)
        for name, kind in PARTS.items()
    }
    frozen = {name: part.eval().requires_grad_(False) for name, part in loaded.items()}
    return Shapes(**{name: part.to(device) for name, part in frozen.items()})


@cache
def _fast(device: torch.device) -> Callable[[Tensor], Tensor]:
    network = fast_decoder.load(FAST_DECODER).to(device)
    return lambda x0: network(x0).clamp(0, 1)


@cache
def guide_network(name: str, device: torch.device) -> Any:
    """A guide network of Shapes by the name of its file, such as "classifier"."""
    return GUIDES[name].load(WEIGHTS / f"{name}.safetensors").to(device)
