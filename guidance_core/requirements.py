"""What rules and energies require from a host, gathered from what stands inside of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import nn

from .captures import Capture
from .types import Energy


@dataclass(frozen=True, eq=False)
class Requirements:
    """What rules and energies require from a host.

    Arguments:
        captures: attention maps and features that they read.
        networks: guide networks to load, each once.
        reads_image: whether the latent must be decoded.
        captures_only: whether they read nothing else, so that the negative branch may be left out.
    """

    captures: frozenset[Capture]
    networks: tuple[nn.Module, ...]
    reads_image: bool
    captures_only: bool = False


def walk(thing: Any) -> Iterator[Any]:
    """The thing and everything inside of it, outermost first.

    Looks into dataclasses, tuples and lists, and into the `energy` of anything else; never into
    networks.
    """
    yield thing
    for part in _inside(thing):
        yield from walk(part)


def _inside(thing: Any) -> Iterable[Any]:
    if isinstance(thing, (tuple, list)):
        return thing
    if isinstance(thing, (nn.Module, type)):
        return ()
    if is_dataclass(thing):
        return [getattr(thing, field.name, None) for field in fields(thing)]
    return [thing.energy] if hasattr(thing, "energy") else ()


def requirements_of(things: Iterable[Any]) -> Requirements:
    """What rules or energies require together; what declares nothing requires nothing."""
    given = list(things)
    parts = [part for part in walk(given) if not isinstance(part, nn.Module)]
    networks = {id(net): net for part in parts for net in getattr(part, "networks", ())}
    return Requirements(
        captures=frozenset().union(*(getattr(part, "captures", ()) for part in parts)),
        networks=tuple(networks.values()),
        reads_image=any(getattr(part, "reads_image", False) for part in parts),
        captures_only=all(getattr(part, "captures_only", False) for part in given),
    )


def is_active(energy: Energy, sigma: float) -> bool:
    """Whether the energy has an effect at this noise level; without `active` it always has."""
    active: Callable[[float], bool] | None = getattr(energy, "active", None)
    return active is None or active(sigma)
