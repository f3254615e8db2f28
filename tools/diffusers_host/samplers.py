"""Samplers of the embedded host: Euler's method, with noise put back or without, and loops."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, pairwise

from torch import Tensor

from guidance_core.procedures.recurrence import Sampler, recurrent
from guidance_core.procedures.restart import Restarting, Standing
from guidance_core.run import Run
from guidance_core.types import Denoiser
from tools.diffusers_host.noise_levels import LEVELS

# What an image goes through again that is not as asked, as of ComfyUI's nodes.
RESTARTED = (0.1, 0.8)


def euler(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, *, step: Callable[[], None] = lambda: None
) -> Tensor:
    """Euler's method from the first noise level to the last."""
    for high, low in zip(sigmas[:-1], sigmas[1:], strict=True):
        x0 = denoise(x, high.expand(x.shape[0])).x0
        x = x + (x - x0) / high * (low - high)
        step()
    return x


def ancestral_share(eta: float, sigma: float, following: float) -> float:
    """Share of a change of x0 that a step with noise carries on, by the settings' eta."""
    up = min(1.0, eta * (1 - (following / sigma) ** 2) ** 0.5)
    return 1 - following * (1 - up**2) ** 0.5 / sigma


def ancestral(eta: float, run: Run) -> Sampler:
    """Euler's method with noise put back after each step, by the settings' eta."""
    # Below 0: recurrence draws by the number of its step, from 0 on.
    draws = count(-1, -1)

    def sampler(
        denoise: Denoiser, x: Tensor, sigmas: Tensor, *, step: Callable[[], None] = lambda: None
    ) -> Tensor:
        for high, low in pairwise(sigmas.tolist()):
            x0 = denoise(x, sigmas.new_full(x.shape[:1], high)).x0
            share = ancestral_share(eta, high, low)
            up = max(low**2 - ((1 - share) * high) ** 2, 0.0) ** 0.5
            x = x0 + (1 - share) * (x - x0) + up * run.noise(x, next(draws), 0)
            step()
        return x

    return sampler


def sampler_of(
    eta: float,
    recurrences: int,
    end_percent: float,
    tries: int,
    tried: tuple[float, float],
    run: Run,
    standing: Standing,
    acting: Callable[[float], bool],
) -> Sampler:
    """The sampler that the settings of these names ask for; `acting`: where any rule has work."""
    end = LEVELS.at_percent(end_percent)
    first, last = map(LEVELS.at_percent, tried)
    once = recurrent(
        ancestral(eta, run) if eta else euler,
        recurrences,
        run.alpha,
        run.noise,
        active=lambda sigma: sigma > end,
    )
    return Restarting(
        lambda *where, turn, **options: once(*where, **options),
        tries,
        run.alpha,
        # Recurrence draws by the number of a step: the one after the last is free.
        lambda like, turn: run.noise(like, len(run.sigmas), turn),
        standing,
        lambda sigma: last < sigma <= first and acting(sigma),
    )
