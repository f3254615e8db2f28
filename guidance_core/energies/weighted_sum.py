"""Several energies at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from ..captures import Capture
from ..requirements import is_active, requirements_of
from ..terms import note, silent
from ..types import Energy, Estimate


@dataclass(frozen=True)
class WeightedSum:
    """Sum of energies times weights: energies add because densities multiply.

    Weights act in each energy's own units. A negative weight pushes away. Parts with weight 0, and
    parts that say nothing at a noise level, are not evaluated there.

    Arguments:
        parts: pairs (weight, energy), at least one.

    Raises:
        ValueError: no parts, or a weight that is not finite.
    """

    parts: tuple[tuple[float, Energy], ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("a weighted sum needs at least one energy")
        for weight, _ in self.parts:
            if not math.isfinite(weight):
                raise ValueError(f"weights must be finite, got {weight}")

    def __call__(self, estimate: Estimate) -> Tensor:
        """Energy of shape (B,)."""
        parts = self._at(float(estimate.sigma[0]))
        with silent():
            terms = [w * energy(estimate) for w, energy in parts]
        if len(self.parts) > 1:
            note([energy for _, energy in parts], terms)
        return sum(terms, estimate.x0.new_zeros(estimate.x0.shape[0]))

    def _at(self, sigma: float) -> list[tuple[float, Energy]]:
        return [(w, energy) for w, energy in self.parts if w != 0 and is_active(energy, sigma)]

    def active(self, sigma: float) -> bool:
        """Whether any part has something to say at this noise level."""
        return bool(self._at(sigma))

    @property
    def captures(self) -> frozenset[Capture]:
        """Captures that any part reads."""
        return requirements_of(energy for _, energy in self.parts).captures

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """Networks of all parts, each once."""
        return requirements_of(energy for _, energy in self.parts).networks

    @property
    def reads_image(self) -> bool:
        """Whether any part looks at the picture."""
        return requirements_of(energy for _, energy in self.parts).reads_image

    @property
    def captures_only(self) -> bool:
        """Whether no part reads anything but captures."""
        return requirements_of(energy for _, energy in self.parts).captures_only
