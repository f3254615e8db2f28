"""Face encoders: timm networks trained for recognition, from local files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from . import weights

# Tried in this order when the architecture is "auto" and the file does not name one.
RECOGNISED = (
    "vit_tiny_patch16_224",
    "vit_small_patch16_224",
    "vit_base_patch16_224",
    "vit_small_patch8_224",
    "vit_base_patch8_224",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "convnext_nano",
    "mobilenetv3_large_100",
)
SIDE = 112  # of the aligned faces that ArcFace and its kin are trained on
HEADS = ("fc", "head", "head.fc", "classifier")


class FaceNetwork(nn.Module):
    """A frozen face encoder with its own resizing and normalisation.

    Arguments:
        network: pixels (B, 3, S, S), normalised -> embeddings (B, D).
        name: what messages call it.
        input_size: side S in pixels of the network's input.
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

    def encode_face(self, image: Tensor) -> Tensor:
        """Unit embeddings (B, D) of faces (B, 3, H, W) in [0, 1], squeezed to a square."""
        size = (self.input_size, self.input_size)
        image = interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)
        return normalize(self.network((image - self.mean) / self.std), dim=-1)


def load(path: str | Path, architecture: str = "auto") -> FaceNetwork:
    """Load a face encoder; `architecture` is a timm name, or "auto" to read it off the file.

    The file's last layer, if it has one, gives the embedding.

    Raises:
        FileNotFoundError, ValueError: see `weights`; unknown architecture.
    """
    name = Path(path).name
    state, metadata = weights.read(path)
    card = weights.read_card(metadata, name) or {}
    make = partial(build, state=state)
    if architecture == "auto":
        architecture = card.get("architecture") or weights.recognise(state, RECOGNISED, make, name)
    return FaceNetwork(
        weights.fill(make(architecture, **card.get("options", {})), state, name),
        name=name,
        input_size=card.get("input_size", SIDE),
        mean=card.get("mean", (0.5,) * 3),
        std=card.get("std", (0.5,) * 3),
    ).eval()


def build(architecture: str, state: dict[str, Tensor], **options: Any) -> nn.Module:
    """An untrained timm network whose last layer, image size and patches are those of `state`.

    Raises:
        ValueError: unknown architecture.
    """
    import timm

    if not timm.is_model(architecture):
        raise ValueError(f"timm knows no architecture '{architecture}': see timm.list_models()")
    sizes = [len(state[f"{head}.weight"]) for head in HEADS if f"{head}.weight" in state]
    if architecture.startswith("vit"):
        options = {"img_size": SIDE, **_cut(state), **options}
    return timm.create_model(architecture, num_classes=sizes[0] if sizes else 0, **options)


def _cut(state: dict[str, Tensor]) -> dict[str, Any]:
    """How a vision transformer of these weights cuts its image, and what it makes of the parts.

    Recognisers have smaller patches than their namesakes, and often no class token.
    """
    patches = state.get("patch_embed.proj.weight")
    cut = {} if patches is None else {"patch_size": patches.shape[-1]}
    return cut if "cls_token" in state else {**cut, "class_token": False, "global_pool": "avg"}
