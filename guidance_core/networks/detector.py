"""Detectors: torchvision networks from local files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import weights

# Tried in this order when the architecture is "auto" and the file does not name one.
RECOGNISED = (
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
)
ANCHORS = 9  # of RetinaNet, for each place
NARROW_CHANNELS = 64  # of the small FCOS


class DetectorNetwork(nn.Module):
    """A frozen detector; resizing and normalisation are torchvision's own.

    Arguments:
        network: a torchvision detector.
        name: what messages call it.
        labels: names of its classes, the first of them the background.
    """

    def __init__(self, network: nn.Module, *, name: str, labels: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.name = network, name
        self.box_labels = tuple(labels)

    def losses(self, image: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
        """All losses of its training on one image, added up, shape ().

        Batch norms keep their statistics. Draws from torch's global generator.

        Arguments:
            image: shape (3, H, W), values in [0, 1].
            boxes: what it should find: left, top, right, bottom in pixels, shape (N, 4).
            labels: numbers of their labels, shape (N,).
        """
        with _learning(self.network):
            losses = self.network([image], [{"boxes": boxes, "labels": labels}])
        return torch.stack(list(losses.values())).sum()

    @torch.no_grad()
    def detections(self, image: Tensor) -> list[dict[str, Tensor]]:
        """What it finds in images (B, 3, H, W): boxes (N, 4) in pixels, labels and scores."""
        return self.network(list(image))


@contextmanager
def _learning(network: Any) -> Iterator[None]:
    """Let a detector compute losses, while its layers stay as they are in use."""
    parts = [network, *(getattr(network, n) for n in ("rpn", "roi_heads") if hasattr(network, n))]
    for part in parts:
        part.training = True
    try:
        yield
    finally:
        for part in parts:
            part.training = False


def load(path: str | Path, architecture: str = "auto") -> DetectorNetwork:
    """Load a detector; `architecture` is a torchvision name, or "auto" to read it off the file.

    Raises:
        FileNotFoundError, ValueError: see `weights`; unknown architecture.
    """
    name = Path(path).name
    state, metadata = weights.read(path)
    card = weights.read_card(metadata, name) or {}
    classes = _classes(state, card)
    make = partial(build, classes=classes)
    if architecture == "auto":
        known = partial(_with_counters, make=make, state=state)
        architecture = card.get("architecture") or weights.recognise(state, RECOGNISED, known, name)
    sizes = {"min_size": card["input_size"]} if "input_size" in card else {}
    network = make(architecture, width=card.get("width", 1.0), **sizes)
    return DetectorNetwork(
        weights.fill(network, _counted(state, network), name),
        name=name,
        labels=card.get("labels") or _labels(classes),
    ).eval()


def labels_in(path: str | Path, architecture: str = "auto") -> tuple[str, ...]:
    """The labels that the detector of a file has, from its header where that tells.

    The architecture does not matter; it is taken as `load` takes it.

    Raises:
        FileNotFoundError, ValueError: as `load`.
    """
    state, metadata = weights.outline(path)
    card = weights.read_card(metadata, Path(path).name) or {}
    return tuple(card.get("labels") or _labels(_classes(state, card)))


def build(architecture: str, classes: int, width: float = 1.0, **options: Any) -> nn.Module:
    """An untrained torchvision detector.

    A `width` other than 1 makes a small FCOS, whatever the name: see `_narrow`.

    Raises:
        ValueError: unknown architecture.
    """
    from torchvision.models import detection

    if architecture not in RECOGNISED:
        raise ValueError(
            f"expected a detector of torchvision ({', '.join(RECOGNISED)}), got '{architecture}'"
        )
    if width != 1.0:
        return _narrow(classes, width, **options)
    make = getattr(detection, architecture)
    return make(weights=None, weights_backbone=None, num_classes=classes, **options)


def _narrow(classes: int, width: float, **options: Any) -> nn.Module:
    """FCOS on the first stages of a MobileNetV3-Large of some width, with one map of stride 8."""
    from torchvision.models import mobilenet_v3_large
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.fcos import FCOS, FCOSHead

    trunk: Any = mobilenet_v3_large(width_mult=width).features[:7]
    trunk.append(nn.Conv2d(trunk[-1].out_channels, NARROW_CHANNELS, 1))
    trunk.out_channels = NARROW_CHANNELS
    return FCOS(
        trunk,
        classes,
        anchor_generator=AnchorGenerator(((8,),), ((1.0,),)),
        head=FCOSHead(NARROW_CHANNELS, 1, classes, num_convs=2),
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        **options,
    )


def _counted(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The state with the step counters that files of frozen batch norms lack."""
    lost = [k for k in network.state_dict() if k.endswith("num_batches_tracked") and k not in state]
    return {**state, **{key: torch.zeros((), dtype=torch.long) for key in lost}}


def _with_counters(architecture: str, *, make: Any, state: dict[str, Tensor]) -> nn.Module:
    """A candidate that has step counters only where the file has some."""
    network: nn.Module = make(architecture)
    if not any(key.endswith("num_batches_tracked") for key in state):
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.num_batches_tracked = None
    return network


def _classes(state: dict[str, Tensor], card: dict[str, Any]) -> int:
    """How many classes the file's last layer tells apart; COCO's 91 if it has none."""
    if "labels" in card:
        return len(card["labels"])
    box, logits = "roi_heads.box_predictor.cls_score.bias", "head.classification_head.cls_logits"
    if box in state:
        return len(state[box])
    anchors = 1 if "head.regression_head.bbox_ctrness.bias" in state else ANCHORS  # FCOS has one
    return len(state[f"{logits}.bias"]) // anchors if f"{logits}.bias" in state else 91


def _labels(count: int) -> tuple[str, ...]:
    """Names of COCO for 91 classes, otherwise numbers."""
    if count != 91:
        return tuple(str(i) for i in range(count))
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

    names = FasterRCNN_ResNet50_FPN_Weights.DEFAULT.meta["categories"]
    return tuple("background" if name == "__background__" else name for name in names)
