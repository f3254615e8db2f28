"""An energy for a part of the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..image.masks import mask_at, square_around
from ..process import lengths
from ..requirements import requirements_of
from ..types import Energy, Estimate


@dataclass(frozen=True, eq=False)
class Masked:
    """Another energy, of a masked area of the image only.

    An energy that knows masks (`within`, such as a colour) is given this one. Any other gets the
    square around the mask: it sees what lies there, and its gradient flows only inside the mask.

    Arguments:
        energy: what is asked; must read the image.
        mask: shape (H, W), or (B, H, W) with one mask per sample; values in [0, 1], any size.

    Raises:
        ValueError: an empty mask, values outside [0, 1], or an energy without an image.
    """

    energy: Energy
    mask: Tensor

    def __post_init__(self) -> None:
        if self.mask.ndim not in (2, 3):
            raise ValueError(f"mask must be H x W or B x H x W, got {lengths(self.mask)}")
        if self.mask.min() < 0 or self.mask.max() > 1:
            raise ValueError("mask values must be in [0, 1]")
        if not (self.mask.flatten(-2).amax(-1) > 0).all():
            raise ValueError("the mask is empty: paint the area that the energy is for")
        requirements = requirements_of([self.energy])
        if not requirements.reads_image or requirements.captures:
            raise ValueError(
                "a mask needs an energy that reads the image, "
                f"{type(self.energy).__name__} does not: leave the mask off"
            )

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        within: Any = getattr(self.energy, "within", None)
        if within is not None:
            value: Tensor = within(self.mask)(estimate)
            return value
        masks = mask_at(self.mask, estimate.image)
        if self.mask.ndim == 2 or self.mask.shape[0] == 1:
            return self.energy(_seen(estimate, estimate.image, masks))
        rows = range(estimate.x0.shape[0])
        return torch.cat([self._row(estimate, masks, slice(i, i + 1)) for i in rows])

    @property
    def linear(self) -> Any:
        """The linear measurement of the masked area that this is; None if it is none."""
        measurement = getattr(self.energy, "linear", None)
        return None if measurement is None else measurement.within(self.mask)

    def _row(self, estimate: Estimate, masks: Tensor, row: slice) -> Tensor:
        sigma, alpha = estimate.sigma[row], estimate.alpha
        alpha = alpha if alpha is None else alpha[row]
        part = replace(estimate.mapped(lambda values: values[row]), sigma=sigma, alpha=alpha)
        part = replace(part, notes=estimate.notes.of("row", row.start))
        return self.energy(_seen(part, estimate.image[row], masks[row]))


def _seen(estimate: Estimate, image: Tensor, masks: Tensor) -> Estimate:
    """The estimate whose image is the square around the mask; gradient only inside the mask."""
    rows, columns = square_around(masks[0])
    gate = masks[:, None]
    gated = gate * image + (1 - gate) * image.detach()
    return replace(estimate, decode=lambda x0: gated[..., rows, columns])
