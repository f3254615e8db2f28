"""Several energies at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ..notes import names_of
from ..requirements import is_active, reached_at
from ..types import Energy, Estimate


@dataclass(frozen=True)
class WeightedSum:
    """Sum of energies times weights: energies add because densities multiply.

    Weights act in each energy's own units. A negative weight moves away. Parts with weight 0, and
    parts without effect at a noise level, are not evaluated there.

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
        first = not estimate.notes.terms
        terms = [w * energy(estimate) for w, energy in parts]
        if first:  # in place of what the sums inside of this one have noted
            self._note(estimate, parts if len(self.parts) > 1 else [], terms)
        return sum(terms, estimate.x0.new_zeros(estimate.x0.shape[0]))

    def _note(
        self, estimate: Estimate, parts: list[tuple[float, Energy]], terms: list[Tensor]
    ) -> None:
        """Note the terms by name, and where each is reached."""
        names = names_of([energy for _, energy in parts])
        limits = [reached_at(WeightedSum((part,)), float(estimate.sigma[0])) for part in parts]
        notes = estimate.notes
        notes.terms = {n: term.detach() for n, term in zip(names, terms, strict=False)}
        notes.reached = {n: at for n, at in zip(names, limits, strict=True) if at is not None}

    def _at(self, sigma: float) -> list[tuple[float, Energy]]:
        return [(w, energy) for w, energy in self.parts if w != 0 and is_active(energy, sigma)]

    def active(self, sigma: float) -> bool:
        """Whether any part has an effect at this noise level."""
        return bool(self._at(sigma))

    @property
    def linear(self) -> Any:
        """The linear measurement that a sum of one is; None if it is none.

        A weight multiplies the log-likelihood, as less noise does.
        """
        (weight, energy), *others = self.parts
        measurement = getattr(energy, "linear", None)
        if others or measurement is None or not weight > 0:
            return None
        return replace(measurement, noise=measurement.noise / math.sqrt(weight))
