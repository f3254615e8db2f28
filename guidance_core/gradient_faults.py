"""What is wrong with an energy or its gradient, said with its rule and noise level."""

from __future__ import annotations

import torch
from torch import Tensor

from .process import lengths
from .types import Energy, Estimate


def place(rule: str, energy: Energy, estimate: Estimate) -> str:
    """Who asks, what and where, as the beginning of a message."""
    name = getattr(energy, "__name__", type(energy).__name__)
    return f"{rule} with energy {name} at sigma {float(estimate.sigma[0]):.4g}: "


def check_energy(value: Tensor, rule: str, energy: Energy, estimate: Estimate) -> None:
    """Refuse an energy that is not one finite value per sample with a RuntimeError."""
    batch = estimate.x0.shape[:1]
    if value.shape != batch:
        raise RuntimeError(
            place(rule, energy, estimate)
            + f"an energy returns one value per sample, {batch[0]} here, got {lengths(value)}: "
            "reduce all axes but the first"
        )
    check_finite(value, "energy", rule, energy, estimate)


def check_finite(values: Tensor, what: str, rule: str, energy: Energy, estimate: Estimate) -> None:
    """Refuse values (B, ...) that are not finite with a RuntimeError that names the rule."""
    finite = torch.isfinite(values).flatten(1).all(1) if values.ndim > 1 else values.isfinite()
    if not finite.all():
        rows = ", ".join(map(str, (~finite).nonzero().flatten().tolist()))
        raise RuntimeError(
            place(rule, energy, estimate) + f"the {what} is not finite for sample {rows}: "
            "lower the strength, start the guidance later, or run the guide network and the VAE "
            "in full precision"
        )
