"""The two gradients that every rule is made of.

`through_model` differentiates an energy with respect to the noisy latent, through the model where
the energy depends on it; `at_estimate` with respect to the clean estimate, without the model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .gradient_faults import check_energy, check_finite, place
from .noise import seeded_noise
from .process import per_sample
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
    a slope; what enters is scaled, for half precision. An energy of x alone needs no such graph.

    Arguments:
        energy: energy of the estimate.
        denoise: model, or an inner rule around it.
        x: noisy latent, shape (B, C, *S).
        sigma: noise level, shape (B,).
        look_at: which estimate the energy is shown, see `Estimate.seen`.
        rule: name for error messages.

    Returns: the estimate, its energy (B,), and the energy's gradient with respect to x, like x.

    Raises:
        RuntimeError: no gradient reaches x, or something is not finite.
    """
    if requirements_of([energy]).noisy_only:
        return _at_noisy_latent(energy, denoise(x, sigma), rule)
    shared, tracked = x.requires_grad, x if x.requires_grad else x.detach().requires_grad_()
    with torch.enable_grad():
        estimate = denoise(tracked, sigma)
    value, slopes = _differentiated(energy, estimate.seen(look_at), rule)
    pairs = _with_slopes(slopes, place(rule, energy, estimate))
    grad = torch.zeros_like(x)
    if any(slope.any() for _, slope in pairs):  # else every sample has met its energy
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
    missing = (
        "the energy does not depend on the clean estimate itself: use a rule that goes through "
    )
    return _at_part(energy, estimate.seen(look_at), rule, 0, missing + "the model")


def _at_noisy_latent(
    energy: Energy, estimate: Estimate, rule: str
) -> tuple[Estimate, Tensor, Tensor]:
    """The estimate, an energy (B,) of the noisy latent alone, and its gradient there, like x."""
    missing = "the energy does not depend on the noisy latent"
    return estimate, *_at_part(energy, estimate, rule, -1, missing)


def _at_part(
    energy: Energy, estimate: Estimate, rule: str, part: int, missing: str
) -> tuple[Tensor, Tensor]:
    """The energy (B,) and its gradient at a part of the estimate, by its place among them."""
    value, slopes = _differentiated(energy, estimate, rule)
    slope = slopes[part][1]
    if slope is None:
        raise RuntimeError(place(rule, energy, estimate) + missing)
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
        check_energy(value, rule, energy, estimate)
        if not value.requires_grad:
            return value, [(part, None) for part in parts]
        slopes = torch.autograd.grad(value.sum(), leaves, allow_unused=True)
    return value.detach(), list(zip(parts, slopes, strict=True))


def _with_slopes(
    slopes: list[tuple[Tensor, Tensor | None]], where: str
) -> list[tuple[Tensor, Tensor]]:
    """The model's outputs that the energy depends on, with its slopes there."""
    pairs = [(part, slope) for part, slope in slopes if part.requires_grad and slope is not None]
    if not pairs:
        raise RuntimeError(where + "no gradient reaches the model's input")
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
