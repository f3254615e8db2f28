"""Which places resemble each other inside the model, as in another image: its layout.

References:
    Splicing ViT Features for Semantic Appearance Transfer, Tumanyan et al. 2022, arXiv:2201.00424,
    eq. (3) (self-similarity), of the diffusion model's own activations in place of a ViT's keys;
    those tell structure: Plug-and-Play Diffusion Features, Tumanyan et al. 2023, arXiv:2211.12572.
    Deviates: the mean over places is taken off the activations first, since most of an image is
    background, which resembles everything a little; activations of more than 32 places a side are
    averaged to that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attention.references import Reference
from ..captures import DEFAULT, Capture, Features, Layers
from ..process import full_precision
from ..types import Estimate

SIDE = 32


@dataclass(frozen=True, eq=False)
class Layout:
    """Mean squared difference of the cosine similarities of every two places, in [0, 4].

    energy = mean over layers and pairs of places of (S - S_ref)^2, with S_ij the cosine of what the
    activations at i and at j differ by from their mean. So what things look like may change, as
    long as the same places belong together.

    Arguments:
        reference: another run, with the same layers recorded, or `Shown`.
        layers: layers of activations to read.
    """

    reference: Reference
    layers: Layers = DEFAULT

    @property
    def captures(self) -> frozenset[Capture]:
        """Activations of the layers."""
        return frozenset({Features(self.layers)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        (request,) = self.captures
        layers = tuple(full_precision(part) for part in estimate.capture(request))
        there = self.reference.like(layers, float(estimate.sigma[0]), request)
        gaps = [
            (_similarity(here) - _similarity(far)).square().flatten(1).mean(1)
            for here, far in zip(layers, there, strict=True)
        ]
        return torch.stack(gaps).mean(0)


def _similarity(values: Tensor) -> Tensor:
    """Cosines of activations (B, C, ..., h, w) at every two places, shape (B, N, N)."""
    flat = _pooled(values).flatten(2)
    apart = flat - flat.mean(2, keepdim=True)
    unit = F.normalize(apart, dim=1)
    return unit.mT @ unit


def _pooled(values: Tensor) -> Tensor:
    """Activations averaged to at most 32 places a side; frames stay."""
    height, width = (min(side, SIDE) for side in values.shape[-2:])
    if (height, width) == values.shape[-2:]:
        return values
    frames = values.flatten(0, -4)
    pooled = F.adaptive_avg_pool2d(frames, (height, width))
    return pooled.reshape(*values.shape[:-2], height, width)
