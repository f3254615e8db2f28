"""Segmenters: torchvision networks from local files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from . import weights

# Tried in this order when the architecture is "auto" and the file does not name one.
RECOGNISED = (
    "lraspp_mobilenet_v3_large",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "fcn_resnet50",
    "fcn_resnet101",
)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as torchvision trained
INPUT_SIZE = 520  # torchvision's


class SegmenterNetwork(nn.Module):
    """A frozen segmenter with its own resizing, normalisation and labels.

    Arguments:
        network: pixels (B, 3, h, w), normalised -> {"out": logits (B, K, h, w)}.
        name: what messages call it.
        labels: the K names; the first is usually the background.
        input_size: shorter side in pixels of the network's input.
        mean, std: normalisation of each channel, in units of [0, 1].
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        labels: tuple[str, ...],
        input_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.network, self.name, self.input_size = network, name, input_size
        self.pixel_labels = tuple(labels)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, h, w) of images (B, 3, H, W) in [0, 1] of any size, the sides in ratio.

        h or w, the shorter, is the input size.
        """
        scale = self.input_size / min(image.shape[-2:])
        size = [round(side * scale) for side in image.shape[-2:]]
        if list(image.shape[-2:]) != size:
            image = interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)
        return self.network((image - self.mean) / self.std)["out"]


def load(path: str | Path, architecture: str = "auto") -> SegmenterNetwork:
    """Load a segmenter; `architecture` is a torchvision name, or "auto" to read it off the file.

    Raises:
        FileNotFoundError, ValueError: see `weights`; unknown architecture.
    """
    name = Path(path).name
    state, metadata = weights.read(path)
    card = weights.read_card(metadata, name) or {}
    make = partial(build, classes=_classes(state, card), auxiliary=_auxiliary(state))
    if architecture == "auto":
        architecture = card.get("architecture") or weights.recognise(state, RECOGNISED, make, name)
    network = make(architecture, width=card.get("width", 1.0))
    return SegmenterNetwork(
        weights.fill(network, state, name),
        name=name,
        labels=card.get("labels") or _labels(_classes(state, card)),
        input_size=card.get("input_size", INPUT_SIZE),
        mean=card.get("mean", MEAN),
        std=card.get("std", STD),
    ).eval()


def labels_in(path: str | Path, architecture: str = "auto") -> tuple[str, ...]:
    """The labels that the segmenter of a file has, from its header where that tells.

    The architecture does not matter; it is taken as `load` takes it.

    Raises:
        FileNotFoundError, ValueError: as `load`.
    """
    state, metadata = weights.outline(path)
    card = weights.read_card(metadata, Path(path).name) or {}
    return tuple(card.get("labels") or _labels(_classes(state, card)))


def build(
    architecture: str, classes: int, auxiliary: bool = False, width: float = 1.0
) -> nn.Module:
    """An untrained torchvision segmenter; `width` scales the channels of lraspp_mobilenet_v3_large.

    Raises:
        ValueError: unknown architecture.
    """
    from torchvision.models import segmentation

    if architecture not in RECOGNISED:
        raise ValueError(
            f"expected a segmenter of torchvision ({', '.join(RECOGNISED)}), got '{architecture}'"
        )
    if width != 1.0:
        return _narrow(classes, width)
    options: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": classes}
    if not architecture.startswith("lraspp"):
        options["aux_loss"] = auxiliary
    return getattr(segmentation, architecture)(**options)


def _narrow(classes: int, width: float) -> nn.Module:
    """LR-ASPP on a MobileNetV3-Large of other width; torchvision's own builder knows only 1."""
    from torchvision.models import mobilenet_v3_large
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.segmentation import LRASPP

    features: Any = mobilenet_v3_large(width_mult=width, dilated=True).features
    backbone = IntermediateLayerGetter(features, {"4": "low", "16": "high"})
    low, high = features[4].out_channels, features[16].out_channels
    return LRASPP(backbone, low, high, classes, inter_channels=round(128 * width))


def _auxiliary(state: dict[str, Tensor]) -> bool:
    return any(key.startswith("aux_classifier.") for key in state)


def _classes(state: dict[str, Tensor], card: dict[str, Any]) -> int:
    """How many classes the file's last layer tells apart; torchvision's 21 if it has none."""
    if "labels" in card:
        return len(card["labels"])
    heads = ("classifier.high_classifier.bias", "classifier.4.bias")
    return next((len(state[key]) for key in heads if key in state), 21)


def _labels(count: int) -> tuple[str, ...]:
    """Names of Pascal VOC for 21 classes, otherwise numbers."""
    if count != 21:
        return tuple(str(i) for i in range(count))
    from torchvision.models.segmentation import LRASPP_MobileNet_V3_Large_Weights

    names = LRASPP_MobileNet_V3_Large_Weights.DEFAULT.meta["categories"]
    return tuple("background" if name == "__background__" else name for name in names)
