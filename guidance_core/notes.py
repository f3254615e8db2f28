"""What energies tell besides their value, for the record of a rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from .requirements import name_of_energy


@dataclass(eq=False)
class Notes:
    """Notes of one evaluation of a rule, kept by its estimate and by all that are made of it.

    Arguments:
        terms: the parts of a sum by name, each of shape (B,). The first evaluation counts: a rule
            of several steps records the energy before its first one.
        reached: at or below which value a term counts as reached, by name, where that is known.
        no_effect: how often an energy, by name, had no effect on a sample.
        memory: what energies keep between the evaluations of a run, by whatever they choose; it
            dies with the run.
    """

    terms: dict[str, Tensor] = field(default_factory=dict)
    reached: dict[str, float] = field(default_factory=dict)
    no_effect: Counter[str] = field(default_factory=Counter)
    memory: dict[Any, Any] = field(default_factory=dict)

    def of(self, part: str, number: int) -> Notes:
        """Notes with a memory and terms of one part's own: of a sample (row), or of a frame."""
        return replace(
            self, terms={}, reached={}, memory=self.memory.setdefault((part, number), {})
        )

    def count(self, energy: object, effective: Tensor) -> None:
        """Count the samples that an energy has no effect on: where `effective` (B,) is False."""
        missed = int((~effective).sum())
        if missed:
            self.no_effect[type(energy).__name__] += missed


def names_of(energies: Sequence[Any]) -> list[str]:
    """Names of the energies of a sum; equal names are counted."""
    names: list[str] = []
    for energy in energies:
        name, copies = name_of_energy(energy), 1
        while name in names:
            copies += 1
            name = f"{name_of_energy(energy)} {copies}"
        names.append(name)
    return names
