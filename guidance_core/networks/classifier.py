"""Classifiers: timm networks (torchvision's ResNets share their keys) from local files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from . import weights

# Tried in this order when the architecture is "auto" and the file does not name one.
RECOGNISED = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "convnext_tiny",
    "convnext_base",
    "efficientnet_b0",
    "mobilenetv3_large_100",
    "vit_small_patch16_224",
    "vit_base_patch16_224",
)


class ClassifierNetwork(nn.Module):
    """A frozen classifier with its own resizing, normalisation and labels.

    Arguments:
        network: pixels (B, 3, S, S), normalised -> logits (B, K).
        name: what messages call it.
        labels: the K names.
        multi_label: whether several labels hold at once (one sigmoid each, no softmax).
        input_size: side S in pixels of the network's input.
        mean, std: normalisation of each channel, in units of [0, 1].
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        labels: tuple[str, ...],
        multi_label: bool,
        input_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.network, self.name, self.labels = network, name, tuple(labels)
        self.multi_label, self.input_size = multi_label, input_size
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K) of images (B, 3, H, W) in [0, 1] of any size, squeezed to a square."""
        return self.network(self._prepared(image))

    def blocks(self, image: Tensor) -> list[Tensor]:
        """Feature maps (B, D, h, w) of every stage."""
        return self.network.forward_intermediates(self._prepared(image), intermediates_only=True)

    def _prepared(self, image: Tensor) -> Tensor:
        size = (self.input_size, self.input_size)
        image = interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)
        return (image - self.mean) / self.std


def load(path: str | Path, architecture: str = "auto") -> ClassifierNetwork:
    """Load a classifier; `architecture` is a timm name, or "auto" to read it off the file.

    Raises:
        FileNotFoundError, ValueError: see `weights`; unknown architecture; no head.
    """
    import timm

    name = Path(path).name
    state, metadata = weights.read(path)
    card = weights.read_card(metadata, name) or {}
    if architecture == "auto":
        architecture = card.get("architecture") or weights.recognise(
            state, RECOGNISED, timm.create_model, name
        )
    if not timm.is_model(architecture):
        raise ValueError(f"timm knows no architecture '{architecture}': see timm.list_models()")
    options = {"num_classes": len(card["labels"])} if "labels" in card else {}
    network = weights.fill(timm.create_model(architecture, **options), state, name)
    config = network.default_cfg
    return ClassifierNetwork(
        network,
        name=name,
        labels=card.get("labels") or _labels(network.num_classes, name),
        multi_label=card.get("multi_label", False),
        input_size=card.get("input_size", config["input_size"][-1]),
        mean=card.get("mean", config["mean"]),
        std=card.get("std", config["std"]),
    ).eval()


def labels_in(path: str | Path, architecture: str = "auto") -> tuple[str, ...]:
    """The labels that the classifier of a file has, from its header where that tells.

    Raises:
        FileNotFoundError, ValueError: as `load`.
    """
    import timm

    name = Path(path).name
    _, metadata = weights.outline(path)
    card = weights.read_card(metadata, name) or {}
    if "labels" in card:
        return tuple(card["labels"])
    if architecture == "auto":
        # Those that are recognised by themselves have ImageNet's thousand, or do not fit.
        return _labels(1000, name)
    if not timm.is_model(architecture):
        raise ValueError(f"timm knows no architecture '{architecture}': see timm.list_models()")
    with torch.device("meta"):
        return _labels(timm.create_model(architecture).num_classes, name)


def _labels(count: int, name: str) -> tuple[str, ...]:
    """ImageNet's names for a thousand classes, otherwise numbers."""
    if count == 0:
        raise ValueError(f"{name} has no classification head: expected a classifier")
    if count != 1000:
        return tuple(str(i) for i in range(count))
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return tuple(info.index_to_description(i) for i in range(count))
