"""An image that people like, by an aesthetic predictor.

References:
    LAION-5B, Schuhmann et al. 2022, arXiv:2210.08402 (LAION-Aesthetics: a predictor on CLIP
    embeddings, trained on ratings from 1 to 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch.nn.functional as F
from torch import Tensor

from ..image.clip_views import ImageEncoder
from ..networks.labels import name_of
from ..networks.protocols import embedding_of
from ..process import full_precision
from ..types import Estimate

BEST = 10.0  # the highest rating


class Predictor(Protocol):
    """Rates images by their CLIP embedding."""

    width: int

    def __call__(self, embedding: Tensor, /) -> Tensor:
        """Scores (B,) of unit embeddings (B, D)."""
        ...


@dataclass(frozen=True)
class Aesthetic:
    """How far an image's rating is from 10: softplus(10 - score), >= 0.

    Arguments:
        network: the CLIP model that the predictor was trained on, a module.
        predictor: rates its embeddings, a module.

    Raises:
        TypeError: other kinds of networks.
        ValueError: when called, an embedding of another width than the predictor's.
    """

    network: ImageEncoder
    predictor: Predictor
    reads_image: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not hasattr(self.network, "encode_image"):
            raise TypeError(f"an aesthetic score needs a CLIP model, got {name_of(self.network)}")
        if not hasattr(self.predictor, "width"):
            raise TypeError(f"expected an aesthetic predictor, got {name_of(self.predictor)}")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        embedding = full_precision(embedding_of(self.network, estimate))
        if embedding.shape[1] != self.predictor.width:
            raise ValueError(
                f"{name_of(self.predictor)} rates embeddings of {self.predictor.width} numbers, "
                f"{name_of(self.network)} gives {embedding.shape[1]}: load the CLIP model that it "
                "was trained on (LAION: ViT-L-14)"
            )
        return F.softplus(BEST - full_precision(self.predictor(embedding)))
