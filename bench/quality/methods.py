"""The compared methods: as published, re-derived for this notation, and ours with its defaults."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.quality.tasks import Task
from guidance_core.compose import any_active, with_noise_levels
from guidance_core.rules.backward import Backward
from guidance_core.rules.forward import Forward
from guidance_core.rules.posterior import Posterior
from guidance_core.rules.presets import PRESETS
from guidance_core.rules.unified import Unified
from guidance_core.schedules import Constant, PercentWindow
from guidance_core.steering import needs_graph
from guidance_core.types import Energy, Rule
from tools.diffusers_host import LEVELS

OURS_STRENGTH, OURS_UNTIL = 0.6, 0.8
FITTED_UNTIL = 0.9  # fraction of the schedule where guidance of inpainting ends
DRAWS = 2  # of the smoothing: 1 in TFG's scripts, 4 by default in its code


@dataclass(frozen=True)
class Method:
    """One way of sampling.

    Arguments:
        name: name in the tables.
        rules: rules for an energy and its task.
        recurrences: how often each step is taken, up to `end_percent`.
        end_percent: where recurrence ends.
        eta: noise put back after each step, 1 is DDPM's.
        confidence: from which labels have no effect; 1 is never.
        started: whether restorations start from what the measurement shows.
        note: where the numbers come from.
    """

    name: str
    rules: Callable[[Energy, Task], Sequence[Rule]]
    recurrences: int = 1
    end_percent: float = 1.0
    eta: float = 0.0
    confidence: float = 1.0
    started: bool = False
    note: str = ""


@dataclass(frozen=True)
class FreedomText:
    """FreeDoM's step for text: 0.02 of the noise's RMS, as a fraction of the posterior's width."""

    value: float = 0.02

    def __call__(self, sigma: float) -> float:
        """The strength at which strength * sigma / sqrt(1 + sigma^2) is 0.02 sigma."""
        return self.value * math.sqrt(1 + sigma**2)


def _published(preset: str, **label: float) -> Callable[[Energy, Task], list[Rule]]:
    """A preset's own step sizes for measurements; terms of TFG's step for labels and text."""
    sizes = {"rho": 0.0, "mu": 0.0, "iterations": 1, **label}

    def rules(energy: Energy, task: Task) -> list[Rule]:
        if not task.restores:
            return [Unified(energy, Constant(), "absolute", **sizes)]
        own = PRESETS[preset].settings("absolute")
        own["samples"] = min(own["samples"], DRAWS)
        return [Unified(energy, Constant(), **own)]

    return rules


def _universal(energy: Energy, task: Task) -> list[Rule]:
    """Forward guidance as released; its backward steps are those of its inverse problems."""
    forward = Forward(energy, Constant(5.0), "absolute")
    backward = Backward(energy, Constant(), "absolute", steps=4)
    return [forward, backward] if task.restores else [forward]


def _tfg(energy: Energy, task: Task) -> list[Rule]:
    """TFG's own numbers for the task."""
    if not task.restores:
        return [Unified(energy, Constant(), **PRESETS["TFG label"].settings("absolute"))]
    name = "TFG super-resolution" if "resolution" in task.name else "TFG deblur"
    return _published(name)(energy, task)


def _ours(energy: Energy, task: Task) -> list[Rule]:
    """What the nodes do by default, and what the help pages say for measurements."""
    if task.hides:
        # What is hidden has to fit what is measured, and only the model knows how.
        window = PercentWindow(0.0, FITTED_UNTIL)
        return [Forward(energy, window), Backward(energy, window, steps=2, optimiser="polyak")]
    if task.restores:
        window = PercentWindow(0.0, 1.0)
        return [Backward(energy, window, "absolute", steps=2, optimiser="polyak")]
    return [Forward(energy, PercentWindow(0.0, OURS_UNTIL, value=OURS_STRENGTH))]


def denoised(method: Method, task: Task) -> float:
    """Fraction of the noise schedule that a method runs for a task."""
    return task.denoise if method.started else 1.0


def cost(method: Method, rules: Sequence[Rule], steps: int) -> int:
    """Evaluations of the model for one image from noise at CFG 1, a backward pass one more."""
    levels = LEVELS.normal(steps)[:-1].tolist()
    own = [with_noise_levels(rule, LEVELS.at_percent, levels) for rule in rules]
    through = [rule for rule in own if needs_graph(rule)]
    end, total = LEVELS.at_percent(method.end_percent), 0
    for sigma in levels:
        once = 2 if any_active(through, sigma) else 1
        total += once * (method.recurrences if sigma > end else 1)
    return total


def steps_within(method: Method, task: Task, rules: Sequence[Rule], budget: int) -> int:
    """The most steps that cost no more than a budget of evaluations, at least 1."""
    most = min(budget, task.most) if denoised(method, task) < 1 else budget
    for steps in range(most, 1, -1):
        if cost(method, rules, steps) <= budget:
            return steps
    return 1


METHODS = (
    Method("unguided", lambda energy, task: []),
    Method(
        "DPS", _published("DPS", rho=1.0), eta=1.0, note="rho 1 (TFG, labels); 0.3 for measurements"
    ),
    Method(
        "LGD",
        _published("LGD", rho=1.0, gamma=1.0, samples=DRAWS),
        eta=1.0,
        note=f"rho 1; {DRAWS} draws",
    ),
    Method(
        "FreeDoM",
        lambda energy, task: [Posterior(energy, FreedomText())],
        recurrences=2,
        end_percent=0.5,
        eta=1.0,
        note="0.02 of the noise (its text guidance); 2 recurrences in the first half",
    ),
    Method("MPGD", _published("MPGD", mu=1.0), eta=1.0, note="mu 1; 4 for measurements"),
    Method(
        "universal guidance",
        _universal,
        recurrences=2,
        note="weight 5, 2 recurrences; measurements also Adam 0.01 for 4 steps",
    ),
    Method(
        "TFG",
        _tfg,
        eta=1.0,
        note="rho 2, mu 0.5, gamma 0.1, 4 iterations (ImageNet labels); its own for measurements",
    ),
    Method(
        "ours",
        _ours,
        eta=1.0,
        confidence=0.9,
        started=True,
        note=f"Rule: Forward, relative {OURS_STRENGTH:g} until {OURS_UNTIL:.0%}, eta 1, labels "
        "without effect from a confidence of 0.9; measurements: image to image from "
        "what they show, Rule: Backward with 2 steps of Polyak's size, where a part is hidden "
        "Rule: Forward too, "
        f"both relative 1 until {FITTED_UNTIL:.0%}",
    ),
)
