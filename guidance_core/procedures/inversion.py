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

from ..noise import mixed_seed
from ..process import full_precision
from ..types import Denoiser

# Side of the coarsest level of Pix2Pix-Zero's pyramid, and numbers of pixels and of values of its
# latents, 4 x 64 x 64: its step sizes are for those.
SMALLEST, PIXELS, VALUES = 8, 64 * 64, 4 * 64 * 64


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
        settle: changes the predicted noise (B, C, *S) of a step (counted from 0), see WhiteNoise.
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


@dataclass(frozen=True)
class WhiteNoise:
    """Move predicted noise towards white noise, which edits better: gradient steps on itself.

    Two energies: squared correlations of the noise with itself, shifted by a random number of
    pixels down and across, on a pyramid of halved sizes; and the divergence of its moments from
    those of a standard normal, var + mean^2 - 1 - log var.

    References:
        Pix2Pix-Zero, Parmar et al. 2023, arXiv:2302.03027, section 3.1.
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
    level = full_precision(noise).flatten(1, -3)
    total = level.new_zeros(len(noise))
    while True:
        half = max(level.shape[-2] // 2, 1)
        shift = 1 + int(torch.randint(half, (), generator=generator))
        for axis in (-2, -1):
            product = (level * level.roll(shift, axis)).mean((-2, -1))
            total = total + product.square().sum(1)
        if min(level.shape[-2:]) <= SMALLEST:
            return total
        level = torch.nn.functional.avg_pool2d(level, 2)


def moment_divergence(noise: Tensor) -> Tensor:
    """Divergence of a sample's mean and variance from those of a standard normal, shape (B,)."""
    flat = full_precision(noise).flatten(1)
    mean, var = flat.mean(1), flat.var(1, correction=0)
    return var + mean.square() - 1 - (var + 1e-7).log()


def psnr(image: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, shape (B,), for values in [0, 1]."""
    error = (image - truth).float().square().flatten(1).mean(1)
    return -10 * error.clamp_min(1e-12).log10()
