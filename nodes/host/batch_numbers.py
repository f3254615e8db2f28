"""Which sample of its batch a latent is: LatentFromBatch and rebatching take samples out of it."""

from __future__ import annotations

import torch
from torch import Tensor

# What is drawn at most in search of a sample.
SAMPLES, VALUES = 1024, 2**26
# Noise of a half-precision latent is rounded; that of other samples is nowhere near.
ROUNDING = 0.05


def batch_numbers(noise: Tensor, seed: int | None) -> tuple[int, ...]:
    """Return the number of each sample in the batch that the host draws noise for.

    A SAMPLER and a guider are not told the LATENT's batch_index, only the noise that was drawn by
    it. Samples whose noise comes from elsewhere keep their place in the batch.

    Arguments:
        noise: noise that sampling starts from, shape (B, C, *S).
        seed: seed of the run.
    """
    numbers = dict.fromkeys(range(len(noise)))
    if seed is None or not noise.any():
        return tuple(numbers)
    wanted, generator = noise.detach().float().cpu(), torch.Generator().manual_seed(seed)
    # A whole batch is drawn at once, which differs from sample by sample where their size is odd.
    if (wanted - torch.randn(wanted.shape, generator=generator)).abs().max() < ROUNDING:
        return tuple(numbers)
    generator.manual_seed(seed)
    most = max(len(noise), min(SAMPLES, VALUES // noise[0].numel()))
    for number in range(most):
        drawn = torch.randn(wanted.shape[1:], generator=generator)
        for place, found in numbers.items():
            if found is None and (wanted[place] - drawn).abs().max() < ROUNDING:
                numbers[place] = number
        if None not in numbers.values():
            break
    return tuple(place if found is None else found for place, found in numbers.items())
