"""An image whose content or style a CLIP model should see again.

References:
    Universal Guidance for Diffusion Models, Bansal et al. 2023, arXiv:2302.07121, section 4.1
    (style: the cosine of CLIP RN50 image embeddings). Deviates: views as in ClipText, and not
    multiplied by 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..image.batches import cast_to_weights, check_images
from ..image.clip_views import Cutouts, ImageEncoder, check_distance, distance_between
from ..networks.protocols import embedding_of
from ..process import full_precision
from ..types import Estimate


@dataclass(frozen=True, eq=False)
class ClipImage:
    """Distance between the CLIP embeddings of the image and of a reference, over views.

    spherical: half the squared angle, in [0, pi^2 / 2]; cosine: 1 - cosine, in [0, 2].
    Several references stand for their mean direction.

    Arguments:
        network: the CLIP model, a module.
        reference: images (N, 3, h, w) in [0, 1], any size.
        distance: spherical or cosine.
        cutouts: random squares besides the whole image, >= 0.
        augment: tilt, shift and tint every cutout a little, against adversarial textures.
        least: side of the smallest cutout, as a fraction of the image's shorter side, in (0, 1].
        seed: seed of cutouts and augmentations.

    Raises:
        TypeError: a network without encode_image.
        ValueError: an argument outside its range.
    """

    network: ImageEncoder
    reference: Tensor
    distance: str = "spherical"
    cutouts: int = 4
    augment: bool = True
    least: float = 0.5
    seed: int = 0
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not hasattr(self.network, "encode_image"):
            name = getattr(self.network, "name", type(self.network).__name__)
            raise TypeError(f"CLIP Image needs a CLIP model, got {name}: load one as open_clip")
        check_images(self.reference)
        check_distance(self.distance)
        self._parts(0.0)

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        views = [
            embedding_of(self.network, estimate),
            *estimate.image_through(self._parts(float(estimate.sigma[0]))),
        ]
        target = self._target.to(views[0])
        distances = [distance_between(view, target, self.distance) for view in views]
        return torch.stack(distances).mean(0)

    @cached_property
    def _target(self) -> Tensor:
        """Mean direction of the references' embeddings, shape (1, D); computed once."""
        with torch.no_grad():
            embeddings = self.network.encode_image(cast_to_weights(self.reference, self.network))
        return normalize(full_precision(embeddings).mean(0, keepdim=True), dim=1)

    def _parts(self, sigma: float) -> Cutouts:
        return Cutouts(self.network, self.cutouts, self.augment, self.least, self.seed, sigma)
