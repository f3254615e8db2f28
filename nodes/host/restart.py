"""Starting over from the middle of a run, for images that are not what was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...guidance_core.procedures.restart import Restarting, Standing
from ...guidance_core.run import Run
from ...guidance_core.schedules import PercentWindow
from .looped import Loop, Looped, Stretches, looped_model, looped_sampler
from .run import GuidedRun

NAME, KEY = "restart", "energy_guidance_restart"


def restart_sampler(sampler: Any, tries: int, window: PercentWindow) -> Any:
    """Return a SAMPLER that goes through the window again where energies are not reached.

    Arguments:
        sampler: the host's SAMPLER; with one try it is returned itself.
        tries: how often the window is gone through at most, >= 1.
        window: what is gone through again.

    Raises:
        ValueError: tries is below 1, or the SAMPLER has no sampler function of the host's kind
            inside.
    """
    if tries < 1:
        raise ValueError(f"tries must be >= 1, got {tries}: 1 is off")
    if tries == 1:
        return sampler
    return looped_sampler(sampler, Loop(NAME, _restarting(tries), tries, window))


def restarting_model(model: Any, tries: int, window: PercentWindow) -> Any:
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
        standing = Standing() if guided is None else guided.standing
        return Restarting(stretches, tries, run.alpha, noise, standing, inside)

    return sampler
