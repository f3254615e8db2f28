"""Initial noise whose first look at the model has a low energy, and that is still white.

References:
    InitNO, Guo et al. 2024, arXiv:2404.04650, section 4 and its code: mean and variance of the
    noise optimised by attention energies, with the divergence from a standard normal kept small,
    and new noise where that fails.
    Deviates: any energy is taken. The divergence is kept under its limit by shrinking mean and log
    variance along the ray to 0, where the code descends it in an inner loop without an end. Each
    sample of a batch ends by itself. What is kept is the best noise of all rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, cast

import torch
from torch import Tensor

from ..process import per_sample

MOVES = ("mean and variance", "noise")
HALVINGS = 40  # of the interval in which a divergence meets its limit


class Look(Protocol):
    """What the energy (B,) of noise (B, C, *S) is, and its gradient there if it is asked for."""

    def __call__(self, noise: Tensor, *, slope: bool) -> tuple[Tensor, Tensor | None]:
        """One evaluation of the model."""
        ...


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found.

    Arguments:
        noise: the best noise of each sample, shape (B, C, *S).
        first: energy of the noise that it began with, shape (B,).
        energy: energy of the best, shape (B,).
        divergence: of the best from its draw, nats a value, see `NoiseSearch`, shape (B,).
        rounds: the round that each is of, counted from 1, shape (B,).
        looks: how often the model was evaluated.
    """

    noise: Tensor
    first: Tensor
    energy: Tensor
    divergence: Tensor
    rounds: Tensor
    looks: int


@dataclass(frozen=True)
class NoiseSearch:
    """How noise is sought.

    mean and variance: n = shift + exp(log_variance / 2) * drawn, value by value, with Adam on shift
        and log variance. noise: the shift alone, after which mean and variance of the sample are
        those of its draw again.
    Both keep the mean over all values of KL(N(shift, variance) || N(0, 1)) =
    (variance + shift^2 - 1 - log variance) / 2 at or under `divergence`.

    Arguments:
        moves: what is moved, one of `MOVES`.
        iterations: moves a round, >= 0; 0 only chooses among `rounds` draws.
        rounds: draws at most, >= 1.
        rate: Adam's step size, > 0; the paper's 0.01.
        threshold: energy at or below which a sample is done.
        divergence: nats a value, >= 0; the paper's 0.001.

    Raises:
        ValueError: an argument outside its range.
    """

    moves: str = MOVES[0]
    iterations: int = 10
    rounds: int = 5
    rate: float = 0.01
    threshold: float = 0.2
    divergence: float = 0.001

    def __post_init__(self) -> None:
        if self.moves not in MOVES:
            raise ValueError(f"moves must be one of {', '.join(MOVES)}, got '{self.moves}'")
        if self.iterations < 0 or self.rounds < 1:
            raise ValueError(
                f"iterations must be >= 0 and rounds >= 1, got {self.iterations} and {self.rounds}"
            )
        if not (self.rate > 0 and self.divergence >= 0):
            raise ValueError(
                f"rate must be > 0 and divergence >= 0, got {self.rate} and {self.divergence}"
            )

    def run(
        self,
        look: Look,
        draw: Callable[[int], Tensor],
        report: Callable[[int], None] = lambda looks: None,
    ) -> Found:
        """Seek noise for each sample by itself; ends where all are at their threshold.

        Arguments:
            look: evaluates the model.
            draw: standard normal noise (B, C, *S) of a round, counted from 0.
            report: told the number of evaluations after each.
        """
        search = _Running(self, look, report)
        for number in range(self.rounds):
            search.round(draw(number), number + 1)
            if search.done():
                break
        return search.found()


class _Running:
    """The state of one search: the best noise of each sample so far."""

    def __init__(self, plan: NoiseSearch, look: Look, report: Callable[[int], None]) -> None:
        self.plan, self.look, self.report, self.looks = plan, look, report, 0
        self.best: Found | None = None

    def round(self, drawn: Tensor, number: int) -> None:
        """Move one draw until all samples are done, or the iterations are spent."""
        shift, log_variance = (torch.zeros_like(drawn).requires_grad_() for _ in range(2))
        both = self.plan.moves == MOVES[0]
        adam = torch.optim.Adam([shift, log_variance] if both else [shift], lr=self.plan.rate)
        for left in range(self.plan.iterations, -1, -1):
            with torch.no_grad():
                noise = self._made(drawn, shift, log_variance)
            energy, grad = self.look(noise, slope=left > 0)
            self.looks += 1
            self.report(self.looks)
            self._keep(noise, energy.detach(), kl(shift, log_variance).detach(), number)
            if self.done() or grad is None:
                return
            shift.grad, log_variance.grad = grad, grad * drawn * (log_variance / 2).exp() / 2
            adam.step()
            with torch.no_grad():
                factor = ray(shift, log_variance, self.plan.divergence)
                shift.mul_(per_sample(factor, shift))
                log_variance.mul_(per_sample(factor, log_variance))

    def _made(self, drawn: Tensor, shift: Tensor, log_variance: Tensor) -> Tensor:
        if self.plan.moves == MOVES[0]:
            return shift + (log_variance / 2).exp() * drawn
        return with_moments_of(drawn, drawn + shift)

    def _keep(self, noise: Tensor, energy: Tensor, divergence: Tensor, number: int) -> None:
        rounds = torch.full_like(energy, number, dtype=torch.int64)
        if self.best is None:
            self.best = Found(noise, energy, energy, divergence, rounds, self.looks)
            return
        old = self.best
        better = (energy < old.energy) & (old.energy > self.plan.threshold)
        pick = lambda new, kept: torch.where(better, new, kept)
        kept = torch.where(_like(better, noise), noise, old.noise)
        self.best = Found(
            *(kept, old.first, pick(energy, old.energy), pick(divergence, old.divergence)),
            *(pick(rounds, old.rounds), self.looks),
        )

    def done(self) -> bool:
        """Whether every sample is at its threshold."""
        return self.best is not None and bool((self.best.energy <= self.plan.threshold).all())

    def found(self) -> Found:
        """The best so far."""
        return replace(cast(Found, self.best), looks=self.looks)


def kl(shift: Tensor, log_variance: Tensor) -> Tensor:
    """Mean over the values of each sample (B, ...) of KL(N(shift, variance) || N(0, 1)): (B,)."""
    nats = (log_variance.exp() + shift.square() - 1 - log_variance) / 2
    return nats.flatten(1).mean(1)


def ray(shift: Tensor, log_variance: Tensor, limit: float) -> Tensor:
    """The largest factor (B,) in [0, 1] of both at which their divergence keeps to a limit.

    The divergence rises along the ray, so that halving an interval finds it; from below.
    """
    low = torch.zeros_like(shift.flatten(1)[:, 0])
    high = torch.ones_like(low)
    at = lambda t: kl(shift * per_sample(t, shift), log_variance * per_sample(t, shift))
    inside = at(high) <= limit
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        under = at(middle) <= limit
        low, high = torch.where(under, middle, low), torch.where(under, high, middle)
    return torch.where(inside, torch.ones_like(low), low)


def with_moments_of(drawn: Tensor, noise: Tensor) -> Tensor:
    """Noise (B, C, *S) with the mean and the variance of each sample of another."""
    # Row by row, so that a sample alone gives the same bits as in a batch.
    rows = [_with_moments_of(*pair) for pair in zip(drawn, noise, strict=True)]
    return torch.stack(rows)


def _with_moments_of(drawn: Tensor, noise: Tensor) -> Tensor:
    centred = (noise - noise.mean()) / noise.std(correction=0)
    return centred * drawn.std(correction=0) + drawn.mean()


def _like(rows: Tensor, values: Tensor) -> Tensor:
    return rows.view(-1, *[1] * (values.ndim - 1))
