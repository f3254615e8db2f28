"""Which activations go together, as they did in another image: its look, wherever things are.

References:
    Image Style Transfer Using Convolutional Neural Networks, Gatys et al. 2016, eq. (3)-(5), of the
    diffusion model's own activations in place of a classifier's; as an energy of those: the
    appearance guidance of FreeControl, Mo et al. 2023, arXiv:2312.07536.
    Deviates: Gram matrices over the whole image in place of FreeControl's mean activations of its
    parts, so that no parts have to be found; relative to the reference's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..attention.references import Reference
from ..captures import DEFAULT, Capture, Features, Layers
from ..process import full_precision
from ..types import Estimate


@dataclass(frozen=True, eq=False)
class Look:
    """Relative squared difference between Gram matrices of activations and a reference's.

    energy = mean over layers of |G - G_ref|^2 / |G_ref|^2, >= 0, with G = F F^T / number of places.

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
        gaps = [_apart(_gram(here), _gram(far)) for here, far in zip(layers, there, strict=True)]
        return torch.stack(gaps).mean(0)


def _gram(values: Tensor) -> Tensor:
    """Mean over places of f f^T, shape (B, C, C), of activations (B, C, ...)."""
    flat = values.flatten(2)
    return flat @ flat.mT / flat.shape[2]


def _apart(gram: Tensor, far: Tensor) -> Tensor:
    size = far.square().flatten(1).sum(1).clamp_min(torch.finfo(far.dtype).tiny)
    return (gram - far).square().flatten(1).sum(1) / size
