"""What is searched for a rule, and the widgets of the rule that was found.

References:
    TFG, Ye et al. 2024, arXiv:2409.15761: rho, mu, gamma and recurrences, by factors of 2, 2, 10
    and 2. Deviates: steps of the relative scale, where 0.25 is gentle and 2 burns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .beam_search import Coordinate

KINDS = ("unified", "strength")


def coordinates(
    kind: str, *, at_estimate: bool = True, recurrences: int = 4, timed: bool = False
) -> tuple[Coordinate, ...]:
    """What is searched.

    Arguments:
        kind: unified (rho, mu and gamma of Unified) or strength (strength and end of Forward).
        at_estimate: whether the energy can be asked at the clean estimate: one that reads captures
            knows no mu and no gamma.
        recurrences: most recurrences; 1 leaves them out.
        timed: whether the schedule is given, so that the end is not searched.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"search must be one of {', '.join(KINDS)}, got '{kind}'")
    if kind == "strength":
        found = [Coordinate("strength", 0.25, 2.0, 2.0)]
        found += [] if timed else [Coordinate("end", 0.3, 1.5, 1.0)]
    else:
        found = [Coordinate("rho", 0.25, 2.0, 2.0)]
        if at_estimate:
            found += [Coordinate("mu", 0.25, 2.0, 2.0), Coordinate("gamma", 0.001, 10.0, 1.0)]
    if recurrences > 1:
        found.append(Coordinate("recurrences", 1.0, 2.0, float(recurrences)))
    return tuple(found)


def unified_settings(settings: Mapping[str, float]) -> dict[str, Any]:
    """Keyword arguments of `Unified`, besides the energy and the strength, of settings found."""
    gamma = settings.get("gamma", 0.0)
    sizes = {"rho": settings["rho"], "mu": settings.get("mu", 0.0)}
    return {**sizes, "gamma": gamma, "samples": 1 if gamma else 0}


def widgets(kind: str, settings: Mapping[str, float]) -> dict[str, Any]:
    """The widgets of the rule's node by name: Forward's for a strength, else Unified's.

    The end of a strength's window is a schedule's matter, recurrences are the sampler's.
    """
    common = {"scale": "relative", "stop": 0.0}
    if kind == "strength":
        return {"strength": settings["strength"], **common}
    fixed = {"preset": "custom", "iterations": 4, "course": "constant", "residual_norm": False}
    return {"strength": 1.0, **common, **fixed, **unified_settings(settings)}
