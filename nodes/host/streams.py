"""Several latents in one, a video with its sound: rules see the first and leave the others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class Streams:
    """Where the first of several latents lies in what the host samples.

    The host lays latents behind each other, (B, 1, N). A single one is what it is.

    Arguments:
        shapes: of the latents, (B, C, *S) each; None or one where there is a single one.
    """

    def __init__(self, shapes: Sequence[Sequence[int]] | None) -> None:
        self.several = shapes is not None and len(shapes) > 1
        self._shape = tuple(shapes[0])[1:] if self.several else None

    def first(self, packed: Tensor | None) -> Tensor | None:
        """Return the first latent (B, C, *S) of what the host samples."""
        if packed is None or self._shape is None:
            return packed
        return packed[:, 0, : math.prod(self._shape)].unflatten(1, self._shape)

    def joined(self, latent: Tensor, packed: Tensor) -> Tensor:
        """Return what the host samples, with its first latent replaced.

        Arguments:
            latent: shape (B, C, *S).
            packed: what holds the others.
        """
        if self._shape is None:
            return latent
        count = math.prod(self._shape)
        return torch.cat([latent.flatten(1).unsqueeze(1), packed[..., count:]], dim=-1)
