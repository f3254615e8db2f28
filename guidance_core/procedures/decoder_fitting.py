"""Fit a fast decoder to the images that a VAE makes of a model's own estimates.

What energies look at while guiding are estimates: smooth and grey at high noise, and never quite
what the encoder gives. A decoder fitted to latents of finished images alone is wrong on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..networks.fast_decoder import Card, FastDecoder, untrained
from ..noise import mixed_seed
from . import checkpoints

WARM_UP = 50
RATE = 2e-3
BETAS = (0.9, 0.99)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Estimates and what the VAE makes of them.

    Arguments:
        latents: shape (N, C, h, w), model latent units.
        images: shape (N, 3, scale h, scale w), bytes: the images in [0, 1] times 255.
    """

    latents: Tensor
    images: Tensor

    def batch(self, size: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """Latents (B, C, h, w) and images (B, 3, H, W) in [0, 1] of a step, told by its number."""
        generator = torch.Generator().manual_seed(mixed_seed(seed, step))
        rows = torch.randint(0, len(self.latents), (size,), generator=generator)
        return self.latents[rows].float(), self.images[rows].float() / 255


def as_bytes(images: Tensor) -> Tensor:
    """Images in [0, 1] as bytes, which are wrong by 0.002 at most: 59 dB."""
    return (images * 255).round().clamp(0, 255).to(torch.uint8)


class Fitting:
    """A decoder on its way: its weights, its optimiser, and how many steps it has taken.

    Arguments:
        card: size of the decoder.
        steps: how many there will be.
        batch: estimates of a step.
        seed: of the first weights and of the batches.
        device: where it is fitted.

    Raises:
        ValueError: more than a million weights, or no steps.
    """

    def __init__(
        self, card: Card, steps: int, batch: int = 16, seed: int = 0, device: Any = "cpu"
    ) -> None:
        if steps < 1 or batch < 1:
            raise ValueError(f"expected a step and an estimate a step, got {steps} and {batch}")
        self.steps, self.batch, self.seed, self.step = steps, batch, seed, 0
        network: nn.Module = untrained(card, seed).to(device)
        self.network: FastDecoder = network.to(memory_format=torch.channels_last)  # type: ignore
        self._optimiser = torch.optim.AdamW(self.network.parameters(), lr=RATE, betas=BETAS)

    def run(self, pairs: Pairs, on_step: Callable[[int, float], None] = lambda *_: None) -> None:
        """Take the steps that are left; stopped inside `on_step`, it may be run on.

        Arguments:
            pairs: what it is fitted to.
            on_step: called after each step with their number and its mean squared error.
        """
        while self.step < self.steps:
            error = self._step(*pairs.batch(self.batch, self.seed, self.step))
            self.step += 1
            on_step(self.step, error)

    def _step(self, x0: Tensor, image: Tensor) -> float:
        """One step along the gradient of the mean absolute and squared errors, in [-1, 1]."""
        rate = RATE * min(1, (self.step + 1) / WARM_UP) * (1 - self.step / self.steps)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        device = next(self.network.parameters()).device
        error = self.network(x0.to(device)) - image.to(device)
        squared = error.square().mean()
        self._optimiser.zero_grad()
        (2 * error.abs().mean() + 4 * squared).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimiser.step()
        return float(squared.detach())

    def save(self, path: Path) -> None:
        """Write all that is needed to go on, whole or not at all."""
        checkpoints.save(path, step=self.step, network=self.network, optimiser=self._optimiser)

    def resume(self, path: Path) -> bool:
        """Go on from what was written, if it was: the same steps follow. Whether it was."""
        state = checkpoints.resume(path, network=self.network, optimiser=self._optimiser)
        self.step = state.get("step", self.step)
        return bool(state)


@torch.no_grad()
def squared_errors(network: FastDecoder, pairs: Pairs) -> Tensor:
    """Mean squared error of each image of pairs, clamped to [0, 1], shape (N,)."""
    device = next(network.parameters()).device
    found = [
        (network(x0[None].float().to(device)).clamp(0, 1).cpu() - image[None] / 255).square().mean()
        for x0, image in zip(pairs.latents, pairs.images, strict=True)
    ]
    return torch.stack(found)


def decibels(squared_error: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of mean squared errors of images in [0, 1]."""
    return -10 * squared_error.clamp_min(1e-10).log10()
