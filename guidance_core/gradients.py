"""The two gradients that every rule is made of.

`through_model` differentiates an energy with respect to the noisy latent, through the model where
the energy depends on it; `at_estimate` with respect to the clean estimate, without the model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .noise import seeded_noise
from .process import lengths, per_sample
from .requirements import requirements_of
from .types import Denoiser, Energy, Estimate

# What an energy is shown above CFG 1: the default, and the choices; measured in docs/cfg.md.
LOOK_AT = "cfg"
LOOKS = ("positive", LOOK_AT, "both")


def through_model(
    energy: Energy,
    denoise: Denoiser,
    x: Tensor,
    sigma: Tensor,
    *,
    look_at: str = LOOK_AT,
    rule: str = "guidance",
) -> tuple[Estimate, Tensor, Tensor]:
    """Evaluate the model once and differentiate the energy of its estimate through it.

    Where an outer rule tracks x already, its graph is shared, and the estimate keeps it. The
    energy's own graph is freed before the model's is entered, which is not done where no sample has
    a slope; what enters is scaled so that half precision keeps large and small gradients. An energy
    of the noisy latent alone needs no graph of the model, and gets none.

    Arguments:
        energy: energy of the estimate.
        denoise: model, or an inner rule around it.
        x: noisy latent, shape (B, C, *S).
        sigma: noise level, shape (B,).
        look_at: which estimate the energy is shown, see `Estimate.seen`.
        rule: name for error messages.

    Returns:
        The estimate, its energy (B,), and the energy's gradient with respect to x, like x.

    Raises:
        RuntimeError: no gradient reaches x, or something is not finite.
    """
    if requirements_of([energy]).noisy_only:
        estimate = denoise(x, sigma)
        return estimate, *_at_noisy_latent(energy, estimate, rule)
    shared = x.requires_grad
    with torch.enable_grad():
        tracked = x if shared else x.detach().requires_grad_()
        estimate = denoise(tracked, sigma)
    value, slopes = _differentiated(energy, estimate.seen(look_at), rule)
    pairs = _with_slopes(slopes, _place(rule, energy, estimate))
    if not any(slope.any() for _, slope in pairs):  # every sample has met its energy
        return estimate if shared else estimate.detached(), value, torch.zeros_like(x)
    grad = pulled_back(pairs, tracked, keep_graph=shared)
    check_finite(grad, "gradient", rule, energy, estimate)
    return estimate if shared else estimate.detached(), value, grad


def at_estimate(
    energy: Energy, estimate: Estimate, *, look_at: str = LOOK_AT, rule: str = "guidance"
) -> tuple[Tensor, Tensor]:
    """Differentiate an energy at the clean estimate, without the model.

    Arguments:
        energy: energy of the estimate.
        estimate: where to take the gradient.
        look_at: which estimate the energy is shown, see `Estimate.seen`.
        rule: name for error messages.

    Returns:
        The energy (B,) and its gradient with respect to the estimate that it is shown, like x0.

    Raises:
        RuntimeError: the energy does not depend on x0, or something is not finite.
    """
    value, slopes = _differentiated(energy, estimate.seen(look_at), rule)
    slope = slopes[0][1]
    if slope is None:
        raise RuntimeError(
            _place(rule, energy, estimate) + "the energy does not depend on the clean estimate "
            "itself: use a rule that goes through the model"
        )
    check_finite(slope, "gradient", rule, energy, estimate)
    return value, slope


def _at_noisy_latent(energy: Energy, estimate: Estimate, rule: str) -> tuple[Tensor, Tensor]:
    """An energy (B,) of the noisy latent alone, and its gradient there, like x."""
    value, slopes = _differentiated(energy, estimate, rule)
    slope = slopes[-1][1]
    if estimate.x is None or slope is None:
        raise RuntimeError(
            _place(rule, energy, estimate) + "the energy does not depend on the noisy latent"
        )
    check_finite(slope, "gradient", rule, energy, estimate)
    return value, slope


def settled(energy: Energy, estimate: Estimate, *, rule: str = "guidance") -> Tensor:
    """The energy (B,) with its slope found already, so that its own graph is freed.

    Where several are added up, only one has a graph at a time. It has no second derivative.

    Arguments:
        energy: energy of the estimate.
        estimate: where; with a graph, or without.
        rule: name for error messages.
    """
    if not (torch.is_grad_enabled() and estimate.x0.requires_grad):
        return energy(estimate)
    value, slopes = _differentiated(energy, estimate, rule)
    for part, slope in slopes:
        if slope is not None:
            value = value + (slope * (part - part.detach())).flatten(1).sum(1)  # 0
    return value


def smoothed(
    energy: Energy, estimate: Estimate, spread: Tensor, samples: int, *key: int | float
) -> Tensor:
    """-log mean_k exp(-energy(x0 + spread n_k)) with n_k standard normal, shape (B,).

    Every row sees the same draws, so that a sample alone equals the sample in a batch.

    Arguments:
        energy: an energy of x0 or of the image, as a negative log-likelihood.
        estimate: where; captures do not depend on x0 here and are left out.
        spread: standard deviation of the noise, shape (B,).
        samples: how many draws, >= 1; each is one evaluation of the energy and its decoder.
        key: what the draws depend on.
    """
    values = []
    for draw in range(samples):
        noise = seeded_noise(estimate.x0[:1], *key, draw)
        values.append(energy(estimate.moved(per_sample(spread, noise) * noise)))
    return math.log(samples) - torch.logsumexp(-torch.stack(values), 0)


def _differentiated(
    energy: Energy, estimate: Estimate, rule: str
) -> tuple[Tensor, list[tuple[Tensor, Tensor | None]]]:
    """The energy, and each part of the estimate, x0 first and x last, with its slope there."""
    parts: list[Tensor] = []
    leaves: list[Tensor] = []

    def leaf(part: Tensor) -> Tensor:
        parts.append(part)
        leaves.append(part.detach().requires_grad_())
        return leaves[-1]

    with torch.enable_grad():
        value = energy(estimate.mapped(leaf))
        _check_energy(value, rule, energy, estimate)
        if not value.requires_grad:
            return value, [(part, None) for part in parts]
        slopes = torch.autograd.grad(value.sum(), leaves, allow_unused=True)
    return value.detach(), list(zip(parts, slopes, strict=True))


def _with_slopes(
    slopes: list[tuple[Tensor, Tensor | None]], place: str
) -> list[tuple[Tensor, Tensor]]:
    """The model's outputs that the energy depends on, with its slopes there."""
    pairs = [(part, slope) for part, slope in slopes if part.requires_grad and slope is not None]
    if not pairs:
        raise RuntimeError(place + "no gradient reaches the model's input")
    return pairs


def pulled_back(pairs: list[tuple[Tensor, Tensor]], x: Tensor, *, keep_graph: bool) -> Tensor:
    """Slopes at the model's outputs, carried to its input x: the gradient there, like x.

    Arguments:
        pairs: outputs with the model's graph, each with the slope there, alike in shape.
        x: the model's input, tracked.
        keep_graph: whether the model's graph is needed again.
    """
    peaks = [slope.flatten(1).abs().amax(1) for _, slope in pairs]
    scale = _power_of_two(torch.stack([peak.to(peaks[0]) for peak in peaks]).amax(0))
    outputs = [part for part, _ in pairs]
    seeds = [slope / per_sample(scale, slope) for _, slope in pairs]
    (grad,) = torch.autograd.grad(outputs, x, seeds, retain_graph=keep_graph)
    return grad * per_sample(scale, grad)


def _power_of_two(values: Tensor) -> Tensor:
    """The power of two just above each value; 1 for 0."""
    mantissa, exponent = torch.frexp(values)
    return torch.where(
        mantissa == 0, torch.ones_like(values), torch.ldexp(torch.ones_like(values), exponent)
    )


def _place(rule: str, energy: Energy, estimate: Estimate) -> str:
    name = getattr(energy, "__name__", type(energy).__name__)
    return f"{rule} with energy {name} at sigma {float(estimate.sigma[0]):.4g}: "


def _check_energy(value: Tensor, rule: str, energy: Energy, estimate: Estimate) -> None:
    batch = estimate.x0.shape[:1]
    if value.shape != batch:
        raise RuntimeError(
            _place(rule, energy, estimate)
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
            _place(rule, energy, estimate) + f"the {what} is not finite for sample {rows}: "
            "lower the strength, start the guidance later, or run the guide network and the VAE "
            "in full precision"
        )
