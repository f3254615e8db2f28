"""FlowEdit: change an image by the difference of two velocities, without inverting it.

S is a state of the source image at each noise level, and the edit is a change d of the image. With
t = sigma / (alpha + sigma), in the coordinates of a flow, a step from t to t' is

    d' = d + (t' - t) mean(v_target(S + d) - v_source(S)),

which is d' = (t' / t) d + (1 - t' / t) mean(x0_target - x0_source), since v = (x - x0) / t. Every
model has such coordinates: its own x (native, below) by alpha + sigma is the x of a flow.

References:
    FlowEdit, Kulikov et al. 2024, arXiv:2412.08629, algorithm 1: S is the image with fresh noise.
    DirectEdit, Yang and Ye 2026, arXiv:2605.02417: S is the image's inverted path, and both sides
    step along it, so that the source arrives where it began however coarse the inversion was.
    Deviates: the paper records residuals of the inversion and puts them into the way down; here the
    source is evaluated at its own state, one evaluation a step more. No features are injected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from ..noise import seeded_noise
from ..types import Denoiser
from .inversion import Path


class Source(Protocol):
    """States of a source image by noise level."""

    def __call__(self, step: int, *key: int) -> Tensor:
        """Native x at the noise level of a step, shape (B, C, *S); `key` chooses its noise."""


@dataclass(frozen=True, eq=False)
class Noised:
    """An image with noise that depends on a seed, a key and the sample's number alone.

    Arguments:
        image: shape (B, C, *S), model latent units.
        sigmas: noise levels, shape (N,).
        alpha: signal scale at noise levels of shape (B,).
        seed: of the noise.
        numbers: number of each sample in its batch; its place if None.
    """

    image: Tensor
    sigmas: Tensor
    alpha: Callable[[Tensor], Tensor]
    seed: int = 0
    numbers: Sequence[int] | None = None

    def __call__(self, step: int, *key: int) -> Tensor:
        """Return alpha x0 + sigma n, shape (B, C, *S)."""
        sigma = self.sigmas[step].to(self.image)
        noise = seeded_noise(self.image, self.seed, *key, numbers=self.numbers)
        return self.alpha(sigma) * self.image + sigma * noise


@dataclass(frozen=True, eq=False)
class Along:
    """The states of an image on its inverted path, whatever the key.

    Arguments:
        path: of the inversion.
        first: place of the first step on it.
        like: gives device and dtype.
    """

    path: Path
    first: int
    like: Tensor

    def __call__(self, step: int, *key: int) -> Tensor:
        """The path's state, shape (B, C, *S)."""
        return self.path.states[self.first + step].to(self.like)


@dataclass(frozen=True, eq=False)
class FlowEdit:
    """Takes an image from one prompt to another.

    Arguments:
        draws: noises a step (n_avg), whose velocities are averaged, >= 1.
        alone: last steps (n_min) in which the target is sampled without the source, >= 0.
        mask: where the image may change, in [0, 1], of a shape that broadcasts to (B, C, *S).

    Raises:
        ValueError: no draws, or less than no steps alone.
    """

    draws: int = 1
    alone: int = 0
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        if self.draws < 1 or self.alone < 0:
            raise ValueError(
                f"expected draws >= 1 and alone >= 0, got {self.draws} and {self.alone}"
            )

    def __call__(
        self,
        source: Denoiser,
        target: Denoiser,
        states: Source,
        sigmas: Tensor,
        alpha: Callable[[Tensor], Tensor],
        report: Callable[[int, Tensor, Tensor], None] = lambda step, x0, x: None,
    ) -> Tensor:
        """Return the change of the image, shape (B, C, *S).

        Arguments:
            source: model with the source's prompt.
            target: model with the wanted prompt.
            states: of the source image.
            sigmas: noise levels, shape (N,), falling to 0, from where the edit begins (n_max).
            alpha: signal scale at noise levels of shape (B,).
            report: called after each step with its number, the target's estimate and its state.
        """
        last = len(sigmas) - 1
        levels, change = sigmas.to(states(last)), torch.zeros_like(states(last))
        for step, (sigma, following) in enumerate(pairwise(levels)):
            size, together = alpha(sigma) + sigma, step < last - self.alone
            keys = [(step, draw) for draw in range(self.draws)]
            moves = []
            for key in keys if together else [(last - self.alone, 0)]:
                there, level = states(step, *key), sigma.expand(len(change))
                x = there + size * change
                x0 = target(x, level).x0
                if together:
                    moves.append(x0 - source(there, level).x0)
                else:
                    moves.append(x0 - _lead(there, states(step + 1, *key), following / sigma))
            # Of the times of a flow, t = sigma / (alpha + sigma).
            kept = following / (alpha(following) + following) * size / sigma
            change = kept * change + (1 - kept) * torch.stack(moves).mean(0)
            change = change if self.mask is None else self.mask.to(change) * change
            report(step, x0, x)
        return change


def _lead(state: Tensor, following: Tensor, kept: Tensor) -> Tensor:
    """The estimate with which Euler's step leads from one state of a source to the next.

    Of an image with one noise it is the image.
    """
    return (following - kept * state) / (1 - kept)
