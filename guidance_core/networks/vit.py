"""Vision transformers in the manner of DINO: timm networks from local files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..image.batches import network_input
from . import weights
from .protocols import ViTTokens

# Tried in this order when the architecture is "auto" and the file does not name one.
RECOGNISED = (
    "vit_small_patch8_224",
    "vit_base_patch8_224",
    "vit_small_patch16_224",
    "vit_base_patch16_224",
    "vit_small_patch14_dinov2",
    "vit_base_patch14_dinov2",
    "vit_small_patch14_reg4_dinov2",
    "vit_base_patch14_reg4_dinov2",
)
# ImageNet's, as DINO and DINOv2 trained; timm's own default for these names is another.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ViTNetwork(nn.Module):
    """A frozen vision transformer with its own resizing and normalisation.

    Arguments:
        network: a timm VisionTransformer without a head.
        name: what messages call it.
        input_size: side in pixels of the network's input.
        mean, std: normalisation of each channel, in units of [0, 1].
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        input_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.network, self.name, self.input_size = network, name, input_size
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def tokens(self, image: Tensor) -> ViTTokens:
        """Keys of the last block and the class token, of images (B, 3, H, W) in [0, 1]."""
        net: Any = self.network
        before, after = self._blocks(image, indices=[len(net.blocks) - 2, len(net.blocks) - 1])
        last = net.blocks[-1]
        keys = last.attn.qkv(last.norm1(_joined(before))).chunk(3, dim=-1)[1]
        pooled = net.forward_head(net.norm(_joined(after)), pre_logits=True)
        class_key = None if net.cls_token is None else keys[:, :1]
        return ViTTokens(keys[:, net.num_prefix_tokens :], pooled, class_key)

    def blocks(self, image: Tensor) -> list[Tensor]:
        """Feature maps (B, D, h, w) of every block (the class token left out)."""
        return self.network.forward_intermediates(self._prepared(image), intermediates_only=True)

    def _blocks(self, image: Tensor, indices: list[int]) -> list[tuple[Tensor, Tensor]]:
        return self.network.forward_intermediates(
            self._prepared(image),
            indices=indices,
            return_prefix_tokens=True,
            output_fmt="NLC",
            intermediates_only=True,
        )

    def _prepared(self, image: Tensor) -> Tensor:
        return network_input(image, self.input_size, self.mean, self.std)


def load(path: str | Path, architecture: str = "auto") -> ViTNetwork:
    """Load a ViT; `architecture` is a timm name, or "auto" to read it off the file.

    Raises:
        FileNotFoundError, ValueError: see `weights`; unknown architecture; no plain ViT.
    """
    name = Path(path).name
    state, metadata = weights.read(path)
    state = {key: value for key, value in state.items() if not key.startswith("head.")}
    card = weights.read_card(metadata, name) or {}
    if architecture == "auto":
        architecture = card.get("architecture") or weights.recognise(state, RECOGNISED, build, name)
    network = build(architecture, **card.get("options", {}))
    return ViTNetwork(
        weights.fill(network, state, name),
        name=name,
        input_size=network.patch_embed.img_size[0],
        mean=card.get("mean", MEAN),
        std=card.get("std", STD),
    ).eval()


def build(architecture: str, **options: Any) -> Any:
    """An untrained timm VisionTransformer without a head.

    Raises:
        ValueError: unknown architecture, or not a plain ViT.
    """
    import timm
    from timm.models.vision_transformer import VisionTransformer

    if not timm.is_model(architecture):
        raise ValueError(f"timm knows no architecture '{architecture}': see timm.list_models()")
    network = timm.create_model(architecture, num_classes=0, **options)
    if not isinstance(network, VisionTransformer):
        raise ValueError(f"expected a plain ViT such as vit_small_patch8_224, got '{architecture}'")
    return network


def _joined(part: tuple[Tensor, Tensor]) -> Tensor:
    """All tokens of one block: class token and registers, then patches."""
    patches, prefix = part
    return torch.cat([prefix, patches], dim=1)
