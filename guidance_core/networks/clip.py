"""CLIP models: open_clip networks from local files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ..image.batches import network_input
from . import weights
from .protocols import CLIPOutputs

# Tried in this order when the architecture is "auto" and the file does not name one.
RECOGNISED = (
    "ViT-B-32",
    "ViT-B-16",
    "ViT-L-14",
    "RN50",
    "RN101",
    "ViT-H-14",
    "ViT-g-14",
    "ViT-bigG-14",
)


class ClipNetwork(nn.Module):
    """A frozen open_clip model with its own resizing, normalisation and tokenizer.

    Arguments:
        network: an open_clip model.
        name: what messages call it.
        tokenise: captions -> token ids (N, T).
        input_size: side in pixels of the network's input.
        mean, std: normalisation of each channel, in units of [0, 1].
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        tokenise: object,
        input_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.network, self.name, self.tokenise, self.input_size = (
            network,
            name,
            tokenise,
            input_size,
        )
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def encode_image(self, image: Tensor) -> Tensor:
        """Unit embeddings (B, D) of images (B, 3, H, W) in [0, 1], squeezed to a square."""
        return normalize(self.network.encode_image(self._prepared(image)), dim=-1)

    def blocks(self, image: Tensor) -> list[Tensor]:
        """Feature maps (B, D, h, w) of every block (the class token left out)."""
        visual: Any = self.network.visual
        seen = visual.forward_intermediates(self._prepared(image), intermediates_only=True)
        return seen["image_intermediates"]

    def outputs(self, image: Tensor) -> CLIPOutputs:
        """Embedding and feature maps of images (B, 3, H, W) in [0, 1], in one forward pass."""
        visual: Any = self.network.visual
        seen = visual.forward_intermediates(self._prepared(image))
        return CLIPOutputs(normalize(seen["image_features"], dim=-1), seen["image_intermediates"])

    def _prepared(self, image: Tensor) -> Tensor:
        return network_input(image, self.input_size, self.mean, self.std)

    def encode_text(self, texts: list[str]) -> Tensor:
        """Unit embeddings (N, D) of sentences."""
        ids = self.tokenise(texts).to(self.mean.device)
        return normalize(self.network.encode_text(ids), dim=-1)


def load(path: str | Path, architecture: str = "auto") -> ClipNetwork:
    """Load a CLIP model; `architecture` is an open_clip name, or "auto" to read it off the file.

    Raises:
        FileNotFoundError, ValueError: see `weights`; unknown architecture.
    """
    import open_clip

    name = Path(path).name
    state, metadata = weights.read(path)
    card = weights.read_card(metadata, name) or {}
    if "model" in card and architecture == "auto":
        network = open_clip.CLIP(**card["model"])
        length = card["model"]["text_cfg"]["context_length"]
        tokenise = open_clip.SimpleTokenizer(context_length=length)
    else:
        architecture = _architecture(architecture, state, name)
        network = open_clip.create_model(architecture, pretrained=None, load_weights=False)
        tokenise = open_clip.get_tokenizer(architecture)
    size = network.visual.image_size
    return ClipNetwork(
        weights.fill(network, state, name),
        name=name,
        tokenise=tokenise,
        input_size=size[0] if isinstance(size, tuple) else size,
        mean=card.get("mean", open_clip.OPENAI_DATASET_MEAN),
        std=card.get("std", open_clip.OPENAI_DATASET_STD),
    ).eval()


def _architecture(architecture: str, state: dict[str, Tensor], name: str) -> str:
    import open_clip

    if architecture == "auto":
        make = lambda a: open_clip.create_model(a, load_weights=False, device="meta")
        return weights.recognise(state, RECOGNISED, make, name)
    if architecture not in open_clip.list_models():
        raise ValueError(
            f"open_clip knows no architecture '{architecture}': see open_clip.list_models()"
        )
    return architecture
