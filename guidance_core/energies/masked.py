"""An energy for a part of the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..image.masks import check_rows, mask_at, square_around, with_margin
from ..process import lengths
from ..requirements import requirements_of
from ..types import Energy, Estimate

MARGIN = 8  # cells of the latent decoded around a part, as the host's own tiles overlap


@dataclass(frozen=True, eq=False)
class Masked:
    """Another energy, of a masked area of the image only.

    An energy that knows masks (`within`, such as a colour) is given this one. Any other gets the
    square around the mask: it sees what lies there, and its gradient flows only inside the mask.
    A decoder with `parts` is given that square of the latent alone, and MARGIN cells around it.

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
        if self.mask.ndim == 2 or self.mask.shape[0] == 1:
            return self.energy(_square(estimate, *_looked_at(estimate, self.mask)))
        count = estimate.x0.shape[0]
        check_rows(self.mask, count)
        return torch.cat([self._row(estimate, slice(i, i + 1)) for i in range(count)])

    @property
    def linear(self) -> Any:
        """The linear measurement of the masked area that this is; None if it is none."""
        measurement = getattr(self.energy, "linear", None)
        return None if measurement is None else measurement.within(self.mask)

    def _row(self, estimate: Estimate, row: slice) -> Tensor:
        sigma, alpha = estimate.sigma[row], estimate.alpha
        alpha = alpha if alpha is None else alpha[row]
        part = replace(estimate.mapped(lambda values: values[row]), sigma=sigma, alpha=alpha)
        part = replace(part, notes=estimate.notes.of("row", row.start))
        if not _by_parts(estimate):  # the whole batch is decoded at once
            part = replace(part, decode=lambda x0: estimate.image[row])
        return self.energy(_square(part, *_looked_at(part, self.mask[row])))


def _by_parts(estimate: Estimate) -> bool:
    return getattr(estimate.decode, "parts", False) and estimate.frames == 1


def _looked_at(estimate: Estimate, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Image (B, 3, h, w) of what the mask needs, and the mask (B, h, w) there."""
    if not _by_parts(estimate):
        return estimate.image, mask_at(mask, estimate.image)
    cells = mask_at(mask, estimate.x0.flatten(1, -3))
    rows, columns = with_margin(square_around(cells[0]), MARGIN, cells[0])
    image = estimate.part(rows, columns)
    scale = image.shape[-1] // (columns.stop - columns.start)
    height, width = (scale * side for side in cells.shape[-2:])
    whole = mask_at(mask, image.new_empty(image.shape[0], 1, height, width))
    down, across = (slice(scale * part.start, scale * part.stop) for part in (rows, columns))
    return image, whole[..., down, across]


def _square(estimate: Estimate, image: Tensor, masks: Tensor) -> Estimate:
    """The estimate whose image is the square around the mask; gradient only inside the mask."""
    rows, columns = square_around(masks[0])
    gate = masks[:, None]
    gated = gate * image + (1 - gate) * image.detach()
    return replace(estimate, decode=lambda x0: gated[..., rows, columns])
