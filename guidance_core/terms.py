"""What the parts of an energy came to, noted on the way, without a second evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from torch import Tensor

from .requirements import name_of_energy
from .types import Energy, Record

_NOTED: ContextVar[dict[str, Tensor] | None] = ContextVar("noted terms", default=None)


@contextmanager
def noting() -> Iterator[None]:
    """Keep what sums note until the rule that evaluated them leaves its record."""
    token = _NOTED.set({})
    try:
        yield
    finally:
        _NOTED.reset(token)


@contextmanager
def silent() -> Iterator[None]:
    """Note nothing: a sum inside a sum is one part of the outer one."""
    token = _NOTED.set(None)
    try:
        yield
    finally:
        _NOTED.reset(token)


def note(energies: list[Energy], terms: list[Tensor]) -> None:
    """Note the terms of a sum, each of shape (B,).

    The first evaluation counts: a rule of several steps records the energy before its push.
    """
    noted = _NOTED.get()
    if noted is None or noted:
        return
    for energy, term in zip(energies, terms, strict=True):
        name, copies = name_of_energy(energy), 1
        while name in noted:
            copies += 1
            name = f"{name_of_energy(energy)} {copies}"
        noted[name] = term.detach()


def with_terms(record: Callable[[Record], None], energy: Any) -> Callable[[Record], None]:
    """The same sink for records of a rule with this energy, their terms filled in.

    They are those noted since the record before; without any, the energy is its only term.
    """

    def sink(made: Record) -> None:
        noted = _NOTED.get() or {}
        # A mask for each sample evaluates row by row: such terms are of one row only.
        terms = {name: term for name, term in noted.items() if term.shape == made.energy.shape}
        noted.clear()
        whole = {} if energy is None else {name_of_energy(energy): made.energy}
        record(replace(made, terms=made.terms or terms or whole))

    return sink
