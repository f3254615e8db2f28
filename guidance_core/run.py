"""Facts and services of one sampling run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .noise import seeded_noise
from .process import ONE_STEP_ONLY, euler_share
from .trace import Record


@dataclass(frozen=True, eq=False)
class Run:
    """Facts and services of one sampling run, made by the host.

    Arguments:
        alpha: signal scale at noise levels of shape (B,): 1 (eps, v, EDM) or 1 - sigma (flow).
        sigmas: noise levels of the run, shape (N,), falling, usually down to 0.
        record: receives what the rules did; can never change results.
        seed: seed of every random number of the guidance.
        share: `share(sigma, next_sigma)`, how much of a change of x0 one step of the sampler
            carries into the next latent; None where a step is more than one evaluation and its own
            latent: samplers that remember or look ahead, noise levels that rise.
        positive_alone: inside of it a host that can leaves out the negative branch, for energies
            that read captures only; x0 is then that of the positive branch.
        numbers: number of each sample in the batch that it was first drawn in, by which its noise
            is told; its place if None.
        model: the denoiser without rules, that `compose.guided` was given; None outside of it.
    """

    alpha: Callable[[Tensor], Tensor]
    sigmas: Tensor
    record: Callable[[Record], None] = lambda record: None
    seed: int = 0
    share: Callable[[float, float], float] | None = euler_share
    positive_alone: Callable[[], AbstractContextManager[None]] = nullcontext
    numbers: tuple[int, ...] | None = None
    model: Callable[[Tensor, Tensor], Any] | None = None

    def next_sigma(self, sigma: float) -> float:
        """The next lower noise level of the run, 0 if there is none.

        Samplers of two stages evaluate between two levels: they get the lower one.
        """
        lower = [level for level in self.sigmas.tolist() if level < sigma * (1 - 1e-5)]
        return max(lower, default=0.0)

    def carried(self, sigma: float) -> float:
        """Share of a change of x0 that the step from this noise level carries on.

        Raises:
            RuntimeError: the sampler has no such share.
        """
        if self.share is None:
            raise RuntimeError(ONE_STEP_ONLY)
        return self.share(sigma, self.next_sigma(sigma))

    def noise(self, like: Tensor, *key: int | float) -> Tensor:
        """Standard normal noise of this run: `seeded_noise` with the run's seed before the key."""
        return seeded_noise(like, self.seed, *key, numbers=self.numbers)
