"""How far apart images look: features whose distances are perceptual ones.

References:
    The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (LPIPS), Zhang et al.
    2018, arXiv:1801.03924, eq. (1), without its learned weights of channels.
    Deviates: the root of the sum, so that it is a distance; and without a network, colours of
    CIE L*a*b* on a pyramid of halved sizes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, normalize

from .batches import cast_to_weights

LARGEST = 256  # side in pixels that is looked at without a network
LEVELS = 5
LIGHTNESS = 100.0  # of white in L*a*b*


def perceptual(images: Tensor, network: Any | None = None) -> Tensor:
    """Features of images, shape (N, F), float32.

    The square of a distance between two is the mean over blocks and places of the squared
    difference of feature vectors of unit length; without a network, of colours in units of white's
    lightness.

    Arguments:
        images: shape (N, 3, H, W) in [0, 1].
        network: a guide network with `blocks`; None compares colours.
    """
    blocks = _colours(images) if network is None else _blocks(images, network)
    scaled = [block / (len(blocks) * block[0, 0].numel()) ** 0.5 for block in blocks]
    return torch.cat([block.flatten(1) for block in scaled], 1)


def _blocks(images: Tensor, network: Any) -> list[Tensor]:
    seen = network.blocks(cast_to_weights(images, network))
    return [normalize(block.float(), dim=1) for block in seen]


def _colours(images: Tensor) -> list[Tensor]:
    from kornia.color import rgb_to_lab

    longest = max(images.shape[-2:])
    if longest > LARGEST:
        size = [max(side * LARGEST // longest, 1) for side in images.shape[-2:]]
        images = interpolate(images, size, mode="area")
    levels = [rgb_to_lab(images.float()) / LIGHTNESS]
    while len(levels) < LEVELS and min(levels[-1].shape[-2:]) > 1:
        levels.append(avg_pool2d(levels[-1], 2))
    return levels
