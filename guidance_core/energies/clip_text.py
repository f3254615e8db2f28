"""A text that a CLIP model should see in the image.

References:
    Learning Transferable Visual Models from Natural Language Supervision, Radford et al. 2021,
    arXiv:2103.00020; cutouts and spherical distance as in Crowson's CLIP guided diffusion, 2021.
    Deviates: the whole image is always among the views, and the views are the same for every
    sample; above 0, `enough` says when a sample is done, as the confidence of a label does, since a
    step of normalised size (the scale `relative`) never fades by itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..image.clip_views import Clip, Cutouts, check_clip, check_distance, distance_between
from ..networks.protocols import embedding_of
from ..process import full_precision
from ..types import Estimate


@dataclass(frozen=True)
class ClipText:
    """Distance between the image's CLIP embedding and a text's, averaged over views.

    spherical: half the squared angle, in [0, pi^2 / 2]; cosine: 1 - cosine, in [0, 2].
    Views are the whole image and `cutouts` random squares of it; they depend on the seed and the
    noise level alone, so that a run can be repeated and a sample does not depend on its batch.

    Arguments:
        network: the CLIP model, a module.
        text: what the image should show.
        distance: spherical or cosine.
        cutouts: random squares besides the whole image, >= 0.
        augment: tilt, shift and tint every cutout a little, against adversarial textures.
        least: side of the smallest cutout, as a fraction of the image's shorter side, in (0, 1].
        seed: seed of cutouts and augmentations.
        enough: cosine between image and text from which on the energy is 0, in [0, 1]; 0, the
            published energy, is never reached. Keep 0 where a negative weight moves away.

    Raises:
        TypeError: a network without encode_text, such as a classifier.
        ValueError: an argument outside its range.
    """

    network: Clip
    text: str
    distance: str = "spherical"
    cutouts: int = 4
    augment: bool = True
    least: float = 0.5
    seed: int = 0
    enough: float = 0.0
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_clip(self.network, "a text")
        if not self.text.strip():
            raise ValueError("the text is empty: write what the image should show")
        check_distance(self.distance)
        if not 0 <= self.enough <= 1:
            raise ValueError(f"enough must be a cosine from 0 to 1, got {self.enough}")
        self._parts(0.0)

    @cached_property
    def target(self) -> Tensor:
        """Embedding of the text, shape (1, D); encoded once, where it is first asked for."""
        with torch.no_grad():
            embedding = self.network.encode_text([self.text])
        return full_precision(embedding)

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        views = [
            embedding_of(self.network, estimate),
            *estimate.image_through(self._parts(float(estimate.sigma[0]))),
        ]
        distances = [distance_between(view, self.target, self.distance) for view in views]
        return F.relu(torch.stack(distances).mean(0) - self._floor)

    def reached(self, sigma: float) -> float | None:
        """At 0, the cosine that was asked; without one it is never reached."""
        return 0.0 if self.enough else None

    @property
    def _floor(self) -> float:
        """The distance at which the image counts as showing the text."""
        if not self.enough:
            return 0.0
        spherical = self.distance == "spherical"
        return math.acos(self.enough) ** 2 / 2 if spherical else 1 - self.enough

    def _parts(self, sigma: float) -> Cutouts:
        return Cutouts(self.network, self.cutouts, self.augment, self.least, self.seed, sigma)
