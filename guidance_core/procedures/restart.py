"""Restart: noise samples back up from a lower level and take them down again, and keep the better.

References:
    Restart Sampling for Improving Generative Processes, Xu et al. 2023, arXiv:2306.14878,
    algorithm 1.
    Deviates: only samples whose energies are not reached start over, and a pass is kept where it
    ends with less energy; published is to take every pass of every sample. Of Shapes' images that
    a sentence guides, those that fail are known by their energy long before the end of the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..process import per_sample, renoise
from ..trace import Record
from .recurrence import Sampler


@dataclass
class Standing:
    """A sink for records that knows where each sample stood at the last noise level seen.

    Arguments:
        records: what the rules did there, in their order.
    """

    records: list[Record] = field(default_factory=list)

    def __call__(self, record: Record) -> None:
        """Take one record; those of another noise level are forgotten."""
        if self.records and self.records[-1].sigma != record.sigma:
            self.clear()
        self.records.append(record)

    def clear(self) -> None:
        """Forget everything."""
        self.records = []

    def at(self, x: Tensor) -> Pass | None:
        """What x (B, C, *S) was reached with; None where no rule acted.

        Its energy is the sum of the rules', infinite where one of them saw none of the samples; it
        is reached where every term is, and a term that never can be is not.
        """
        if not self.records:
            return None
        unseen = any(len(r.energy) <= count for r in self.records for count in r.silent.values())
        total = torch.stack([record.energy for record in self.records]).sum(0)
        met = [
            term <= record.reached.get(name, -torch.inf)
            for record in self.records
            for name, term in record.terms.items()
        ]
        energy = torch.full_like(total, torch.inf) if unseen else total
        return Pass(x, energy, torch.stack(met).all(0) & ~energy.isinf())


@dataclass(frozen=True)
class Pass:
    """Where the samples stand at the lower level: x (B, C, *S), energy (B,), reached (B,)."""

    x: Tensor
    energy: Tensor
    reached: Tensor

    def improved(self, other: Pass) -> Pass:
        """The other pass for samples that are not reached and have less energy there."""
        better = ~self.reached & (other.energy < self.energy)
        return Pass(
            torch.where(per_sample(better, self.x).bool(), other.x, self.x),
            torch.where(better, other.energy, self.energy),
            torch.where(better, other.reached, self.reached),
        )


@dataclass(frozen=True)
class Restarting:
    """A sampler that goes through some noise levels again, for samples that are not there yet.

    The batch is evaluated as a whole until all its samples are reached; those that are keep what
    they had. Where no rule acted, or no step is inside, nothing is repeated.

    Arguments:
        sampler: any sampler. It is called with neighbouring noise levels and `turn`: 0 the first
            time, then the number of the repetition, and `tries` for what follows.
        tries: how often the levels are gone through at most, >= 1; with 1 the sampler runs alone.
        alpha: signal scale at noise levels of shape (B,).
        noise: `noise(like, turn)`, standard normal of the shape of `like`.
        standing: the sink that receives the rules' records.
        inside: whether the step that starts at this noise level is gone through again.

    Raises:
        ValueError: tries below 1.
    """

    sampler: Sampler
    tries: int
    alpha: Callable[[Tensor], Tensor]
    noise: Callable[[Tensor, int], Tensor]
    standing: Standing
    inside: Callable[[float], bool]

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ValueError(f"tries must be >= 1, got {self.tries}: 1 is off")

    def __call__(self, denoise: object, x: Tensor, sigmas: Tensor, /, **options: object) -> Tensor:
        """Sample from the first noise level to the last."""
        first, last = span(sigmas, self.inside)
        if first == last or self.tries == 1:
            return self.sampler(denoise, x, sigmas, turn=0, **options)
        self.standing.clear()
        x = self.sampler(denoise, x, sigmas[: last + 1], turn=0, **options)
        x = self._best(denoise, x, sigmas[first : last + 1], options)
        if last == len(sigmas) - 1:
            return x
        return self.sampler(denoise, x, sigmas[last:], turn=self.tries, **options)

    def _best(self, denoise: object, x: Tensor, levels: Tensor, options: dict[str, Any]) -> Tensor:
        """The best of what x, at the last level, and its repetitions arrive at."""
        kept = self.standing.at(x)
        high, low = (level.expand(x.shape[0]) for level in (levels[0], levels[-1]))
        for turn in range(1, self.tries):
            if kept is None or kept.reached.all():
                break
            self.standing.clear()
            again = renoise(kept.x, low, high, self.alpha, self.noise(x, turn))
            again = self.sampler(denoise, again, levels, turn=turn, **options)
            kept = kept.improved(self.standing.at(again) or kept)
        return x if kept is None else kept.x


def span(sigmas: Tensor, inside: Callable[[float], bool]) -> tuple[int, int]:
    """Index of the first and of the last noise level of the steps inside; equal where none is."""
    steps = [step for step, sigma in enumerate(sigmas[:-1].tolist()) if inside(sigma)]
    return (steps[0], steps[-1] + 1) if steps else (0, 0)
