"""Starting over from the middle of a run, for images that are not what was asked."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ...guidance_core.compose import any_active
from ...guidance_core.procedures.restart import Restarting
from ...guidance_core.run import Run
from ...guidance_core.schedules import PercentWindow
from .looped import Loop, Looped, Stretches, looped_model, looped_sampler
from .run import GuidedRun

NAME, KEY = "restart", "energy_guidance_restart"
# What an image goes through again that is not as asked: from where the outlines are not settled, to
# where CLIP reads the estimate as it reads the finished image.
RESTARTING = PercentWindow(0.1, 0.8)


def restart_sampler(sampler: Any, tries: int, window: PercentWindow) -> Any:
    """Return a SAMPLER that goes through the window again where energies are not reached.

    Arguments:
        sampler: the host's SAMPLER; with one try it is returned itself.
        tries: how often the window is gone through at most, >= 1.
        window: what is gone through again; of it the steps at which a rule has work.

    Raises:
        ValueError: tries is below 1, or the SAMPLER has no sampler function of the host's kind
            inside.
    """
    if tries < 1:
        raise ValueError(f"tries must be >= 1, got {tries}: 1 is off")
    if tries == 1:
        return sampler
    return looped_sampler(sampler, Loop(NAME, _restarting(tries), tries, window))


def restarting_model(model: Any, tries: int, window: PercentWindow = RESTARTING) -> Any:
    """Return a clone of a MODEL whose samplers go through the window again, see above.

    A SAMPLER that starts over by itself is left alone.
    """
    if tries == 1:
        return model
    restarts = lambda plain: isinstance(plain, Looped) and plain.loop.name == NAME
    wrap = lambda plain: plain if restarts(plain) else restart_sampler(plain, tries, window)
    return looped_model(model, wrap, KEY)


def _restarting(tries: int) -> Callable:
    def sampler(
        stretches: Stretches, run: Run, guided: GuidedRun | None, inside: Callable
    ) -> Callable:
        # Recurrence draws by the number of a step: the one after the last is free.
        noise = lambda like, turn: run.noise(like, len(run.sigmas), turn)
        if guided is None:
            return functools.partial(stretches, turn=0)
        acting = lambda sigma: inside(sigma) and any_active(guided.rules, sigma)
        return Restarting(stretches, tries, run.alpha, noise, guided.standing, acting)

    return sampler
