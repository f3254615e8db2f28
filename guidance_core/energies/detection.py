"""Objects in boxes, by a detector.

References:
    Universal Guidance for Diffusion Models, Bansal et al. 2023, arXiv:2302.07121, section 4.2.
    Deviates: the regression of the boxes counts too (the published code leaves it out), and the
    anchors that the losses draw are the same for every sample and every step at a noise level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from ..networks.labels import index_of, name_of
from ..noise import mixed_seed, seeded
from ..process import full_precision, lengths
from ..types import Estimate


class Detector(Protocol):
    """A guide network that finds labelled boxes."""

    box_labels: tuple[str, ...]

    def losses(self, image: Tensor, boxes: Tensor, labels: Tensor, /) -> Tensor:
        """Training losses () of an image (3, H, W) with boxes (N, 4) in pixels, labels (N,)."""
        ...


@dataclass(frozen=True, eq=False)
class Detection:
    """The detector's own training losses, as if the wanted boxes were the truth; >= 0.

    Arguments:
        network: the detector, a module.
        boxes: left, top, right, bottom of each box, as fractions of width and height, shape (N, 4).
        labels: label of each box.
        seed: seed of the anchors that the losses draw.

    Raises:
        TypeError: another kind of network.
        ValueError: no boxes, one outside the image or without an inside, or an unknown label.
    """

    network: Detector
    boxes: Tensor
    labels: tuple[str, ...]
    seed: int = 0
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not hasattr(self.network, "box_labels"):
            raise TypeError(f"detection needs a detector, got {name_of(self.network)}")
        if self.boxes.shape != (len(self.labels), 4) or not self.labels:
            raise ValueError(
                "detection needs at least one box with a label, got "
                f"{len(self.labels)} labels and boxes of {lengths(self.boxes)}"
            )
        for box in self.boxes.tolist():
            left, top, right, bottom = box
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError(
                    "a box is left top right bottom with 0 <= left < right <= 1 and "
                    f"0 <= top < bottom <= 1, got {' '.join(f'{value:.4g}' for value in box)}"
                )
        for label in self.labels:
            index_of(label, self.network.box_labels, self.network)

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        image = full_precision(estimate.image)
        height, width = image.shape[-2:]
        boxes = self.boxes.to(image) * torch.tensor([width, height, width, height]).to(image)
        numbers = [index_of(x, self.network.box_labels, self.network) for x in self.labels]
        labels = torch.tensor(numbers, device=image.device)
        seed = mixed_seed(self.seed, float(estimate.sigma[0]))
        rows = []
        for sample in image:
            with seeded(seed, image.device):
                rows.append(self.network.losses(sample, boxes, labels))
        return full_precision(torch.stack(rows))
