"""White noise: how white noise is, and gradient steps that make it whiter.

References:
    Zero-shot Image-to-Image Translation (Pix2Pix-Zero), Parmar et al. 2023, arXiv:2302.03027,
    section 3.1 (noise regularisation).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ..noise import mixed_seed
from ..process import full_precision

# Side of the coarsest level of Pix2Pix-Zero's pyramid, and numbers of pixels and of values of its
# latents, 4 x 64 x 64: its step sizes are for those.
SMALLEST, PIXELS, VALUES = 8, 64 * 64, 4 * 64 * 64


@dataclass(frozen=True)
class WhiteNoise:
    """Move predicted noise towards white noise, which edits better: gradient steps on itself.

    Two energies: squared correlations of the noise with itself, shifted by a random number of
    pixels down and across, on a pyramid of halved sizes; and the divergence of its moments from
    those of a standard normal, var + mean^2 - 1 - log var.

    Deviates: moments are those of one sample (the paper's batch is one); the steps grow with the
    latent's size, so that a weight means the same at every size.

    Arguments:
        weight: step size of both descents, > 0; the paper's 20, for latents of 4 x 64 x 64.
        steps: descents a noise level; the paper's 5.
        rolls: shifts a descent; the paper's 5.
        seed: seed of the shifts, which are the same for every sample.

    Raises:
        ValueError: a weight that is not positive, steps or rolls below 1.
    """

    weight: float = 20.0
    steps: int = 5
    rolls: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"weight must be > 0, got {self.weight}")
        if self.steps < 1 or self.rolls < 1:
            raise ValueError(f"steps and rolls must be >= 1, got {self.steps} and {self.rolls}")

    def __call__(self, noise: Tensor, step: int) -> Tensor:
        """Whiter noise, of the shape of `noise` (B, C, *S), for one step of the inversion."""
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, step))
        correlated = lambda n: self_correlation(n, generator)
        pixels, values = noise[0, 0].numel() / PIXELS, noise[0].numel() / VALUES
        for _ in range(self.steps):
            for _ in range(self.rolls):
                noise = _descended(noise, correlated, self.weight / self.rolls * pixels)
            noise = _descended(noise, moment_divergence, self.weight * values)
        return noise


def _descended(noise: Tensor, energy: Callable[[Tensor], Tensor], rate: float) -> Tensor:
    """One gradient step on an energy (B,) of each row."""
    with torch.enable_grad():
        tracked = noise.detach().requires_grad_()
        (grad,) = torch.autograd.grad(energy(tracked).sum(), tracked)
    return noise - rate * grad


def self_correlation(noise: Tensor, generator: torch.Generator) -> Tensor:
    """Sum over channels and a pyramid of sizes of squared mean products with shifted copies: (B,).

    Arguments:
        noise: shape (B, C, *S), with two or more axes in S; all but the last two are as channels.
        generator: draws one shift a size, from 1 to half the height.
    """
    draw = lambda half: [1 + int(torch.randint(half, (), generator=generator))]
    return _correlation(noise, draw)


def whiteness(noise: Tensor) -> Tensor:
    """How white noise is: 1 and 0 for white noise, on average, and more for other: (B, 2).

    First its self-correlation at unit mean square, so that weak noise is not taken for white,
    averaged over all shifts, as a multiple of white noise's; then the divergence of its moments.

    Arguments:
        noise: shape (B, C, *S), as above.
    """
    flat = full_precision(noise).flatten(1)
    size = flat.square().mean(1).clamp_min(torch.finfo(flat.dtype).tiny)
    every = lambda half: range(1, half + 1)
    times = _correlation(noise, every) / size.square() / _of_white(noise.shape)
    return torch.stack([times, moment_divergence(noise)], 1)


def _correlation(noise: Tensor, shifts: Callable[[int], Sequence[int]]) -> Tensor:
    """Self-correlation, averaged over the shifts that are given for half the height of a size."""
    level = full_precision(noise).flatten(1, -3)
    total = level.new_zeros(len(noise))
    while True:
        chosen = shifts(max(level.shape[-2] // 2, 1))
        for shift, axis in product(chosen, (-2, -1)):
            mean = (level * level.roll(shift, axis)).mean((-2, -1))
            total = total + mean.square().sum(1) / len(chosen)
        if min(level.shape[-2:]) <= SMALLEST:
            return total
        level = torch.nn.functional.avg_pool2d(level, 2)


def _of_white(shape: Sequence[int]) -> float:
    """Self-correlation of white noise of a shape (B, C, *S), averaged over all shifts.

    A product of n values with n others is of variance 1 / n. A shift by half an axis meets each
    pair twice, by all of it itself; the mean of 2 x 2 values has a quarter of the variance.
    """
    total, scale = 0.0, 1.0
    channels, (height, width) = math.prod(shape[1:-2]), shape[-2:]
    while True:
        half = max(height // 2, 1)
        for length in (height, width):
            met = [_met(shift % length, length, height * width) for shift in range(1, half + 1)]
            total += channels * scale**2 * sum(met) / half
        if min(height, width) <= SMALLEST:
            return total
        height, width, scale = height // 2, width // 2, scale / 4


def _met(shift: int, length: int, count: int) -> float:
    """Mean square of the mean product of `count` white values with themselves, shifted."""
    if shift == 0:
        return 1 + 2 / count
    return (2 if 2 * shift == length else 1) / count


def moment_divergence(noise: Tensor) -> Tensor:
    """Divergence of a sample's mean and variance from those of a standard normal, shape (B,)."""
    flat = full_precision(noise).flatten(1)
    mean, var = flat.mean(1), flat.var(1, correction=0)
    return var + mean.square() - 1 - (var + 1e-7).log()
