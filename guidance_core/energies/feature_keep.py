"""Activations that should stay as they were in another run.

References:
    Features as the content of an image: Plug-and-Play Diffusion Features, Tumanyan et al. 2023,
    arXiv:2211.12572; as an energy: DragonDiffusion, Mou et al. 2024, arXiv:2307.02421, eq. (6).
    Deviates: the squared difference relative to the reference's own power in place of a cosine, so
    that it is 0 where the activations agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..attention.references import Reference
from ..captures import DEFAULT, Capture, Features, Layers
from ..image.masks import mask_over
from ..process import full_precision
from ..types import Estimate


@dataclass(frozen=True, eq=False)
class FeatureKeep:
    """Relative squared difference between activations and those of a reference.

    energy = mean over layers of sum m (F - F_ref)^2 / sum m F_ref^2, >= 0.

    Arguments:
        reference: another run, with the same layers recorded.
        mask: m, where they should stay, shape (H, W) or (B, H, W) in [0, 1], any size; None is the
            whole image.
        layers: layers to read.

    Raises:
        ValueError: an empty mask.
    """

    reference: Reference
    mask: Tensor | None = None
    layers: Layers = DEFAULT

    def __post_init__(self) -> None:
        if self.mask is not None and not (self.mask.flatten(-2).amax(-1) > 0).all():
            raise ValueError("the mask is empty: paint the area whose content should stay")

    @property
    def captures(self) -> frozenset[Capture]:
        """Activations of the layers."""
        return frozenset({Features(self.layers)})

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        (request,) = self.captures
        layers = tuple(full_precision(part) for part in estimate.capture(request))
        there = self.reference.like(layers, float(estimate.sigma[0]), request)
        gaps = [self._gap(here, recorded) for here, recorded in zip(layers, there, strict=True)]
        return torch.stack(gaps).mean(0)

    def _gap(self, here: Tensor, recorded: Tensor) -> Tensor:
        weight = here.new_ones(1) if self.mask is None else mask_over(self.mask, here)
        power = (weight * recorded.square()).flatten(1).sum(1)
        change = (weight * (here - recorded).square()).flatten(1).sum(1)
        return change / power.clamp_min(torch.finfo(power.dtype).tiny)
