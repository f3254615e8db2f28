"""ComfyUI's own CLIP vision models as guide networks."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from comfy.clip_model import CLIPVisionModelProjection
from torch import Tensor, nn
from torch.nn.functional import normalize

from ...guidance_core.image.batches import network_input
from ...guidance_core.networks.protocols import CLIPOutputs
from ...guidance_core.process import full_precision
from .networks import PATCHER


class VisionNetwork(nn.Module):
    """The host's CLIP or SigLIP vision model, differentiable. It has no text encoder.

    The host goes on loading and offloading it by its own patcher. SigLIP has no class token, and
    the host leaves its pooling away: its embedding is the mean of its patches.

    Arguments:
        vision: a CLIP_VISION.

    Raises:
        ValueError: another kind of vision model, such as DINO.
    """

    def __init__(self, vision: Any) -> None:
        super().__init__()
        if not isinstance(vision.model, CLIPVisionModelProjection):
            raise ValueError(
                "expected a CLIP or SigLIP vision model, got "
                f"{type(vision.model).__name__}: choose a file such as "
                "CLIP-ViT-H-14-laion2B-s32B-b79K in Load CLIP Vision, or a DINO in Load Guide: ViT"
            )
        self.network, self.name = vision.model, "the CLIP vision model"
        self.input_size = _side(vision)
        embeddings = vision.model.vision_model.embeddings
        self.has_class_token = getattr(embeddings, "class_embedding", None) is not None
        self.mean, self.std = tuple(vision.image_mean), tuple(vision.image_std)
        setattr(self, PATCHER, vision.patcher)

    def encode_image(self, image: Tensor) -> Tensor:
        """Unit embeddings (B, D) of images (B, 3, H, W) in [0, 1], squeezed to a square."""
        return self._embedding(self._seen(image, None))

    def blocks(self, image: Tensor) -> list[Tensor]:
        """Feature maps (B, D, h, w) of every block (the class token left out)."""
        return self.outputs(image).blocks

    def outputs(self, image: Tensor) -> CLIPOutputs:
        """Embedding and feature maps of images (B, 3, H, W) in [0, 1], in one forward pass."""
        seen = self._seen(image, "all")
        return CLIPOutputs(self._embedding(seen), _maps(seen[1][:, :, self.has_class_token :]))

    def _seen(self, image: Tensor, hidden: str | None) -> tuple[Any, ...]:
        """What the host's model gives: of hidden states all or none, and the embedding, third."""
        pixels = network_input(full_precision(image), self.input_size, self.mean, self.std)
        with _kept_inputs(self.network):
            return self.network(pixel_values=pixels, intermediate_output=hidden)

    def _embedding(self, seen: tuple[Any, ...]) -> Tensor:
        projected = full_precision(seen[2])
        return normalize(projected if self.has_class_token else projected.mean(1), dim=-1)


def _side(vision: Any) -> int:
    """Side in pixels of the square that a vision model is shown."""
    if vision.image_size > 0:
        return vision.image_size
    # NaFlex takes any size of so many patches.
    return math.isqrt(vision.config["num_patches"]) * vision.config["patch_size"]


def _maps(patches: Tensor) -> list[Tensor]:
    """Hidden states (B, L, h w, D) of the patches of a square, as L maps (B, D, h, w)."""
    side = math.isqrt(patches.shape[2])
    return list(patches.transpose(2, 3).unflatten(3, (side, side)).unbind(1))


@contextlib.contextmanager
def _kept_inputs(network: nn.Module) -> Iterator[None]:
    """Give each normalisation a copy: the host's layers add in place to what it has to save."""
    norms = [part for part in network.modules() if isinstance(part, nn.LayerNorm)]
    copied = lambda module, inputs: (inputs[0].clone(),)
    hooks = [norm.register_forward_pre_hook(copied) for norm in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
