"""What rules and energies require of a host, found by walking through them.

An energy declares only what it reads itself. A wrapper holds others in a field `energy`, or in
`parts` of weights and energies, and declares nothing that it passes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from torch import nn

from .captures import Capture

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Requirements:
    """What rules and energies require of a host.

    Arguments:
        captures: attention maps and features that they read.
        networks: guide networks to load, each once.
        reads_image: whether the latent must be decoded.
        captures_only: whether they read nothing else, so that the negative branch may be left out.
        batch_is_video: whether the samples of the batch are the frames of one video to one of them.
        reads_noisy: whether one of them depends on the noisy latent itself.
        noisy_only: whether all do, and on nothing else, so that no graph of the model is needed.
    """

    captures: frozenset[Capture]
    networks: tuple[nn.Module, ...]
    reads_image: bool
    captures_only: bool
    batch_is_video: bool = False
    reads_noisy: bool = False
    noisy_only: bool = False

    @property
    def not_of_estimate(self) -> str:
        """What they read that does not follow the clean estimate, in words; empty for nothing."""
        noisy = "the noisy latent" if self.reads_noisy else ""
        return "attention or features from inside the model" if self.captures else noisy


def requirements_of(things: Iterable[Any]) -> Requirements:
    """What rules or energies require together; what declares nothing requires nothing."""
    given = list(things)
    parts = list(walk(given))
    networks = [net for part in parts for net in getattr(part, "networks", ())]
    networks += [part for part in parts if isinstance(part, nn.Module)]
    return Requirements(
        captures=frozenset().union(*(getattr(part, "captures", ()) for part in parts)),
        networks=tuple({id(network): network for network in networks}.values()),
        reads_image=any(getattr(part, "reads_image", False) for part in parts),
        captures_only=all(map(_reads_captures_only, given)),
        batch_is_video=any(getattr(part, "batch_is_video", False) for part in parts),
        reads_noisy=any(getattr(part, "reads_noisy", False) for part in parts),
        noisy_only=bool(given) and all(map(_reads_noisy_only, given)),
    )


def is_active(energy: Any, sigma: float) -> bool:
    """Whether the energy has an effect at this noise level.

    It says so itself with `active`; without, it is active where any energy that it holds is.
    """
    if hasattr(energy, "active"):
        return bool(energy.active(sigma))
    held = held_by(energy)
    return not held or any(is_active(part, sigma) for part in held)


def reached_at(energy: Any, sigma: float) -> float | None:
    """The value at or below which an energy counts as reached; None where none is known.

    It says so itself with `reached`; without, it is that of the energy that it holds, times its
    weight. A sum of several has none, nor has a negative weight, which moves away.
    """
    if hasattr(energy, "reached"):
        own: float | None = energy.reached(sigma)
        return own
    held = held_by(energy)
    inner = reached_at(held[0], sigma) if len(held) == 1 else None
    weight = energy.parts[0][0] if hasattr(energy, "parts") else 1.0
    return weight * inner if inner is not None and weight > 0 else None


def name_of_energy(energy: Any) -> str:
    """What is asked, in words, whatever masks, schedules and weights are around it."""
    held = held_by(energy)
    if held:
        return " + ".join(map(name_of_energy, held))
    name = str(getattr(energy, "__name__", type(energy).__name__))
    words = ", ".join(word.text for word in getattr(energy, "words", ()))
    asked = getattr(energy, "text", getattr(energy, "label", words))
    return f"{name} {asked}" if isinstance(asked, str) and asked else name


def held_by(thing: Any) -> tuple[Any, ...]:
    """The energies that a wrapper or a rule holds; none for an energy of its own."""
    if hasattr(thing, "parts"):
        return tuple(energy for _, energy in thing.parts)
    return (thing.energy,) if hasattr(thing, "energy") else ()


def walk(thing: Any) -> Iterator[Any]:
    """The thing and everything inside of it, outermost first.

    Looks into dataclasses, tuples, lists and wrappers, never into networks.
    """
    yield thing
    for part in _inside(thing):
        yield from walk(part)


def rebuilt(thing: T, change: Callable[[Any], Any]) -> T:
    """The thing with `change` made to all that `walk` finds; itself where nothing changed.

    What was changed is not looked into any further.
    """
    result: Any = change(thing)
    if result is not thing or isinstance(thing, (nn.Module, type)):
        return result  # type: ignore[no-any-return]
    if isinstance(thing, (tuple, list)):
        parts = [rebuilt(part, change) for part in thing]
        same = all(new is old for new, old in zip(parts, thing, strict=True))
        return thing if same else type(thing)(parts)
    if is_dataclass(thing):
        old = {f.name: getattr(thing, f.name) for f in fields(thing) if f.init}
        new = {name: rebuilt(value, change) for name, value in old.items()}
        changed = {name: value for name, value in new.items() if value is not old[name]}
        return replace(thing, **changed) if changed else thing  # type: ignore[type-var]
    return thing


def _inside(thing: Any) -> Iterable[Any]:
    if isinstance(thing, (tuple, list)):
        return thing
    if isinstance(thing, (nn.Module, type)):
        return ()
    if is_dataclass(thing):
        return [getattr(thing, field.name, None) for field in fields(thing)]
    return held_by(thing)


def _reads_noisy_only(energy: Any) -> bool:
    held = held_by(energy)
    return (
        all(map(_reads_noisy_only, held)) if held else bool(getattr(energy, "reads_noisy", False))
    )


def _reads_captures_only(energy: Any) -> bool:
    held, reads_image = held_by(energy), getattr(energy, "reads_image", False)
    reads = all(map(_reads_captures_only, held)) if held else bool(getattr(energy, "captures", ()))
    return bool(getattr(energy, "captures_only", reads and not reads_image))
