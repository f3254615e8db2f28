"""Self-recurrence around any of the host's samplers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...guidance_core.procedures.recurrence import recurrent
from ...guidance_core.run import Run
from ...guidance_core.schedules import PercentWindow
from .looped import Loop, Looped, Stretches, looped_model, looped_sampler

WHOLE = PercentWindow(0.0, 1.0)
NAME = "recurrence"


def recurrent_sampler(sampler: Any, recurrences: int, window: PercentWindow = WHOLE) -> Any:
    """Return a SAMPLER that takes each step inside the window several times.

    Arguments:
        sampler: the host's SAMPLER; with recurrences 1 it is returned itself.
        recurrences: how often each step inside the window is taken, >= 1.
        window: where steps recur.

    Raises:
        ValueError: recurrences is below 1, or the SAMPLER has no sampler function of the host's
            kind inside, or starts over by itself.
    """
    if recurrences < 1:
        raise ValueError(f"recurrences must be >= 1, got {recurrences}: 1 is off")
    if recurrences == 1:
        return sampler
    if isinstance(sampler, Looped) and sampler.loop.name != NAME:
        raise ValueError("a sampler that starts over cannot recur: put Restart Sampler behind it")
    loop = Loop(NAME, _recurrent(recurrences), recurrences, window)
    return looped_sampler(sampler, loop)


def recurrent_model(model: Any, recurrences: int, window: PercentWindow = WHOLE) -> Any:
    """Return a clone of a MODEL whose samplers take each step inside the window several times.

    Arguments:
        model: the host's ModelPatcher; of several such clones, one after another, the last holds.
        recurrences: how often each step inside the window is taken, >= 1; with 1 the model is
            returned itself.
        window: where steps recur.
    """
    if recurrences == 1:
        return model
    wrap = lambda plain: (
        plain if isinstance(plain, Looped) else recurrent_sampler(plain, recurrences, window)
    )
    return looped_model(model, wrap)


def _recurrent(times: int) -> Callable:
    def sampler(stretches: Stretches, run: Run, _guided: Any, inside: Callable) -> Callable:
        return recurrent(stretches, times, run.alpha, run.noise, inside)

    return sampler
