"""What energies need from a host, gathered from what they declare."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from .captures import Capture
from .types import Energy


@dataclass(frozen=True, eq=False)
class Needs:
    """What energies need from a host.

    Arguments:
        captures: attention maps and features that they read.
        networks: guide networks to load, each once.
        reads_image: whether the latent must be decoded.
        captures_only: whether they read nothing else, so that the negative branch may rest.
    """

    captures: frozenset[Capture]
    networks: tuple[nn.Module, ...]
    reads_image: bool
    captures_only: bool = False


def needs(energies: Iterable[Any]) -> Needs:
    """Join what several energies declare; an energy that declares nothing needs nothing."""
    parts = list(energies)
    networks = {id(net): net for part in parts for net in getattr(part, "networks", ())}
    return Needs(
        captures=frozenset().union(*(getattr(part, "captures", ()) for part in parts)),
        networks=tuple(networks.values()),
        reads_image=any(getattr(part, "reads_image", False) for part in parts),
        captures_only=all(getattr(part, "captures_only", False) for part in parts),
    )


def is_active(energy: Energy, sigma: float) -> bool:
    """Whether the energy says anything at this noise level; energies without `active` always do."""
    active: Callable[[float], bool] | None = getattr(energy, "active", None)
    return active is None or active(sigma)
