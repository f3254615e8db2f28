"""Seek initial noise at the first noise level of a run, with the model and its captures."""

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
        report: told the number of evaluations after each.
    """

    energy: Energy
    search: NoiseSearch
    draw: Callable[[int], Tensor]
    unit: float
    sink: Callable[[Found], None]
    report: Callable[[int], None] = lambda looks: None
    through_model: ClassVar[bool] = True

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """The estimate of the last evaluation: x (B, C, *S), sigma (B,)."""
        alone, last = requirements_of([self.energy]).captures_only, list[Estimate]()
        first = self.draw(0).to(x)

        def look(noise: Tensor, *, slope: bool) -> tuple[Tensor, Tensor | None]:
            at = x + self.unit * (noise - first)
            with run.positive_alone() if alone else nullcontext():
                if slope:
                    estimate, energy, grad = through_model(
                        self.energy, denoise, at, sigma, look_at=LOOK_AT, rule="initial noise"
                    )
                    grad = self.unit * grad
                else:
                    with torch.no_grad():
                        estimate, grad = denoise(at, sigma), None
                        energy = self.energy(estimate.seen(LOOK_AT))
            last[:] = [estimate]
            return energy.to(x), grad

        self.sink(self.search.run(look, lambda number: self.draw(number).to(x), self.report))
        return last[0]
