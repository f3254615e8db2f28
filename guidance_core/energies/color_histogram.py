"""The colours of a reference, and how much there is of each.

References:
    Wasserstein Barycenter and its Application to Texture Mixing, Rabin et al. 2011 (sliced
    Wasserstein distance of colours). Deviates: fixed directions, so that no random number is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..image.batches import check_images, expand_batch
from ..process import full_precision
from ..types import Estimate

QUANTILES = 256
# Thirteen lines through the cube: 3 edges, 6 diagonals of faces, 4 of the body.
DIRECTIONS = (
    *((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    *((1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)),
    *((1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)),
)


@dataclass(frozen=True, eq=False)
class ColorHistogram:
    """Squared distance between the colour distributions of the image and a reference.

    The squared sliced Wasserstein distance over 13 directions of the RGB cube: 0 for the same
    colours in the same amounts, wherever they are. A shift of all colours by d costs about |d|^2/3.

    Arguments:
        reference: images (1, 3, h, w) or (B, 3, h, w) in [0, 1], any size.

    Raises:
        ValueError: no images.
    """

    reference: Tensor
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_images(self.reference)

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        image = full_precision(estimate.image)
        target = _quantiles(expand_batch(self.reference, image))
        return (_quantiles(image) - target).square().flatten(1).mean(1)


def _quantiles(image: Tensor) -> Tensor:
    """Quantiles (B, 13, QUANTILES) of the colours of images along each direction."""
    directions = torch.nn.functional.normalize(torch.tensor(DIRECTIONS).to(image), dim=1)
    ordered = (directions @ image.flatten(2)).sort(2).values
    count = ordered.shape[2]
    places = (torch.arange(QUANTILES, device=image.device).to(image) + 0.5) / QUANTILES * count
    places = (places - 0.5).clamp(0, count - 1)
    low = places.floor().long()
    part = places - low
    return torch.lerp(ordered[..., low], ordered[..., (low + 1).clamp_max(count - 1)], part)
