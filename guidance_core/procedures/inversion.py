"""Inversion: the noise from which a sampler without randomness paints an image that is given.

The way down is Euler's (DDIM's, eta 0): x_low = x + (low - high) d(x, high), with the direction
d(x, sigma) = (x - D(x, sigma)) / sigma, in every family. The way up solves the same equation for
x, so that the way down leads back.

References:
    Denoising Diffusion Implicit Models, Song et al. 2021, arXiv:2010.02502, section 4.3.
    Effective Real Image Editing with Accelerated Iterative Diffusion Inversion, Pan et al. 2023,
    arXiv:2309.04907, section 3.2 (the fixed point).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..types import Denoiser


@dataclass(frozen=True, eq=False)
class Path:
    """The states of an image at every noise level of a run.

    Arguments:
        sigmas: noise levels, shape (N,), falling, as a sampler takes them.
        states: x at each of them, shape (N, B, C, *S), model latent units.

    Raises:
        ValueError: the noise levels do not fall, or are not as many as the states.
    """

    sigmas: Tensor
    states: Tensor

    def __post_init__(self) -> None:
        levels = self.sigmas.tolist()
        if len(levels) < 2 or any(low >= high for high, low in pairwise(levels)):
            raise ValueError(f"sigmas must be two or more falling noise levels, got {levels}")
        if len(self.states) != len(levels):
            raise ValueError(f"expected {len(levels)} states, one a level, got {len(self.states)}")


def invert(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    alpha: Callable[[Tensor], Tensor],
    *,
    iterations: int = 1,
    settle: Callable[[Tensor, int], Tensor] | None = None,
    report: Callable[[int, Tensor, Tensor], None] = lambda step, x0, x: None,
) -> Path:
    """Take an image up the noise levels, along the path that Euler's way down would take.

    Each step solves x_high = x_low + (high - low) d(x_high, high), begun with the direction of the
    step before; one iteration is DDIM inversion. Deviates: that begins each step at x_low itself.

    Arguments:
        denoise: model.
        x: the image at the last, lowest noise level, shape (B, C, *S), model latent units.
        sigmas: noise levels as the sampler will take them, shape (N,), falling, usually to 0.
        alpha: signal scale at noise levels of shape (B,).
        iterations: model evaluations per step, >= 1; a ValueError below.
        settle: changes the predicted noise (B, C, *S) of a step (from 0), such as WhiteNoise.
        report: called after each step with its number, the clean estimate and x.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be >= 1, got {iterations}")
    levels, states = sigmas.flip(0).to(x.device), [x]
    direction: Tensor | None = None
    for step, (low, high) in enumerate(pairwise(levels)):
        above = _first_guess(states[-1], (low, high), direction, alpha)
        for _ in range(iterations):
            x0 = denoise(above, high.to(x.dtype).expand(x.shape[0])).x0
            direction = (above - x0) / high.to(x)
            if settle is not None:
                noise = (above - alpha(high).to(x) * x0) / high.to(x)
                direction = direction + settle(noise, step) - noise
            above = states[-1] + (high - low).to(x) * direction
        states.append(above)
        report(step, x0, above)
    return Path(sigmas, torch.stack(states[::-1]))


def _first_guess(
    x: Tensor,
    levels: tuple[Tensor, Tensor],
    direction: Tensor | None,
    alpha: Callable[[Tensor], Tensor],
) -> Tensor:
    """Where a step up begins: along the step before it; the first one scales the signal."""
    low, high = levels
    if direction is None:
        return x * (alpha(high) / alpha(low)).to(x)
    return x + (high - low).to(x) * direction


def psnr(image: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, shape (B,), for values in [0, 1]."""
    error = (image - truth).float().square().flatten(1).mean(1)
    return -10 * error.clamp_min(1e-12).log10()
