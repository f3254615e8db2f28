"""Self-recurrence, also called time travel: take a step, noise back up, take it again.

References:
    Universal Guidance, Bansal et al. 2023, arXiv:2302.07121, section 3.3 and algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from ..process import renoise


class Sampler(Protocol):
    """Takes x (B, C, *S) down the noise levels sigmas (N,), host options by keyword."""

    def __call__(self, denoise: object, x: Tensor, sigmas: Tensor, /, **options: object) -> Tensor:
        """Sample from the first noise level to the last."""
        ...


def recurrent(
    sampler: Sampler,
    repeats: int,
    alpha: Callable[[Tensor], Tensor],
    noise: Callable[..., Tensor],
    active: Callable[[float], bool] = lambda sigma: True,
) -> Sampler:
    """A sampler that takes every step `repeats` times, noised back up in between.

    Steps where it is not active are handed to the sampler in one piece. A sampler that remembers
    earlier steps (multistep) starts anew at every repeated one.

    Arguments:
        sampler: any sampler; it is called with two neighbouring noise levels at a time.
        repeats: how often each step is taken, >= 1; 1 gives the sampler itself.
        alpha: signal scale at noise levels of shape (B,).
        noise: `noise(like, step, repeat)`, standard normal of the shape of `like`.
        active: whether the step that starts at this noise level is repeated.

    Raises:
        ValueError: repeats below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be >= 1, got {repeats}")
    if repeats == 1:
        return sampler

    def sample(denoise: object, x: Tensor, sigmas: Tensor, /, **options: object) -> Tensor:
        for first, last, repeated in _stretches(sigmas, active):
            levels = sigmas[first : last + 1]
            x = sampler(denoise, x, levels, **options)
            for repeat in range(1, repeats if repeated else 1):
                high, low = (level.expand(x.shape[0]) for level in levels)
                x = renoise(x, low, high, alpha, noise(x, first, repeat))
                x = sampler(denoise, x, levels, **options)
        return x

    return sample


def _stretches(sigmas: Tensor, active: Callable[[float], bool]) -> list[tuple[int, int, bool]]:
    """First and last index of each repeated step, and of each run of steps between them."""
    stretches: list[tuple[int, int, bool]] = []
    for step, sigma in enumerate(sigmas[:-1].tolist()):
        repeated = active(sigma)
        joins = bool(stretches) and not (repeated or stretches[-1][2])
        first = stretches.pop()[0] if joins else step
        stretches.append((first, step + 1, repeated))
    return stretches
