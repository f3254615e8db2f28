"""Fast decoders that were fitted to a VAE: which files there are, and one inside the graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folder_paths
import torch
from torch import Tensor

from ...guidance_core.networks.fast_decoder import Card, FastDecoder, card_of, load
from .autograd import memory
from .latents import still_image
from .networks import managed

FOLDER = "vae_approx"
OWN = "fast_decoder_file"  # of a latent format that brings its decoder along


@dataclass(frozen=True, eq=False)
class FittedDecoder:
    """A fast decoder fitted to a VAE: nearly its image of estimates, at a small part of the cost.

    Arguments:
        network: the decoder.
        name: of its file.
        exact: the VAE, for videos of several latent frames; None where there is none, or no video.
        parts: see `Estimate.decode`.
    """

    network: FastDecoder
    name: str
    exact: Any = None
    parts: bool = False

    @property
    def patchers(self) -> list[Any]:
        """Models that the host has to load."""
        exact = [] if self.exact is None else self.exact.patchers
        return [managed(self.network), *exact]

    def graph_bytes(self, shape: torch.Size) -> float:
        """Bytes that the graph of one decoding saves, in float32."""
        if self.exact is not None and len(shape) == 5 and shape[2] > 1:
            return self.exact.graph_bytes(shape)
        return 4 * shape[0] * shape[-1] * shape[-2] * self.network.kept

    def __call__(self, x0: Tensor) -> Tensor:
        """Decode x0 (B, C, *S) of an image, model latent units, to (B, 3, H, W) in [0, 1]."""
        x0 = x0.squeeze(2) if x0.ndim == 5 else x0
        weight = next(self.network.parameters())
        with memory.explained("the fast decoder"):
            image = self.network(x0.to(weight.device, weight.dtype))
        return still_image(image.to(x0.device).clamp(0, 1))

    def frame(self, x0: Tensor, index: int) -> Tensor:
        """Decode one latent frame of a video x0 (B, C, T, h, w) to an image (B, 3, H, W) in [0, 1].

        By the VAE where it is there: the fast decoder knows single images alone.
        """
        if self.exact is not None and x0.shape[2] > 1:
            return self.exact.frame(x0, index)
        return self(x0[:, :, index : index + 1])


def name_of(latent_format: Any) -> str:
    """The name of a kind of latents, such as SD15."""
    return type(latent_format).__name__


def fits(card: Card | None, latent_format: Any) -> bool:
    """Whether a card is of a decoder of these latents."""
    return card is not None and (card.latent_format, card.channels) == (
        name_of(latent_format),
        latent_format.latent_channels,
    )


def file_of(latent_format: Any) -> Path | None:
    """The decoder of these latents: the first by name in models/vae_approx, or what they bring."""
    files = sorted(folder_paths.get_filename_list(FOLDER))
    paths = [folder_paths.get_full_path(FOLDER, file) for file in files if file.endswith("tensors")]
    for path in [path for path in paths if path is not None]:
        if fits(card_of(path), latent_format):
            return Path(path)
    own = getattr(latent_format, OWN, None)
    return own if own is not None and own.is_file() else None


def fitted_decoder(path: Path, exact: Any = None) -> FittedDecoder:
    """The decoder of a file.

    Arguments:
        path: from `file_of`.
        exact: the VAE where the model's latents are of videos.

    Raises:
        ValueError: the file does not fit.
    """
    with torch.inference_mode(False):
        return FittedDecoder(load(path), path.name, exact)
