"""Seek initial noise by what a run shows of it, with the model and its captures.

References:
    InitNO, Guo et al. 2024, arXiv:2404.04650: the look at the first noise level.
    Deviates: a look may be taken some steps into the run, where attention tells more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..gradients import LOOK_AT, through_model
from ..requirements import requirements_of
from ..run import Run
from ..types import Denoiser, Energy, Estimate
from .initial_noise import Found, NoiseSearch


@dataclass(frozen=True, eq=False)
class NoiseSeeking:
    """Hand the noise that a search found to a sink, and leave the model as it is.

    x(n) = x + unit * (n - draw(0)), where x was made of the first draw.

    Arguments:
        energy: what the first look at the model should show.
        search: how noise is sought.
        draw: standard normal noise (B, C, *S) of a round; a plain function, as are the next two.
        unit: by how much the host multiplies noise at this level.
        sink: receives what was found.
        report: told the number of looks after each.
        ahead: steps of Euler before a look, >= 0; none lower than the run's last level above 0.

    Raises:
        ValueError: ahead below 0, or with moves: a gradient through several steps is not taken.
    """

    energy: Energy
    search: NoiseSearch
    draw: Callable[[int], Tensor]
    unit: float
    sink: Callable[[Found], None]
    report: Callable[[int], None] = lambda looks: None
    ahead: int = 0
    through_model: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.ahead < 0:
            raise ValueError(f"ahead must be >= 0, got {self.ahead}")
        if self.ahead and self.search.iterations:
            raise ValueError(
                f"a look {self.ahead} steps ahead only chooses among draws, but iterations is "
                f"{self.search.iterations}: set iterations to 0, or ahead to 0"
            )

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """The estimate of the last evaluation: x (B, C, *S), sigma (B,)."""
        alone, last = requirements_of([self.energy]).captures_only, list[Estimate]()
        first = self.draw(0).to(x)

        def look(noise: Tensor, *, slope: bool) -> tuple[Tensor, Tensor | None]:
            at, level = self._stepped(denoise, x + self.unit * (noise - first), sigma, run)
            with run.positive_alone() if alone else nullcontext():
                if slope:
                    estimate, energy, grad = through_model(
                        self.energy, denoise, at, level, look_at=LOOK_AT, rule="initial noise"
                    )
                    grad = self.unit * grad
                else:
                    with torch.no_grad():
                        estimate, grad = denoise(at, level), None
                        energy = self.energy(estimate.seen(LOOK_AT))
            last[:] = [estimate]
            return energy.to(x), grad

        self.sink(self.search.run(look, lambda number: self.draw(number).to(x), self.report))
        return last[0]

    def _stepped(
        self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run
    ) -> tuple[Tensor, Tensor]:
        """X (B, C, *S) and the noise level (B,) where the look is taken."""
        for _ in range(self.ahead):
            following = run.next_sigma(float(sigma[0]))
            if following == 0:
                break
            x0 = denoise(x, sigma).x0.detach()
            x = x0 + (following / float(sigma[0])) * (x - x0)
            sigma = torch.full_like(sigma, following)
        return x, sigma
