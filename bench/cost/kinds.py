"""The kinds of step that are compared, the same on every host."""

from __future__ import annotations

from types import ModuleType

import torch

CFG = 4.0
SIGMA = 5.0
# Noise levels of one measured run, and how many of its steps each case takes.
STEPS = {"shapes": 5, "sd15": 1}


def kinds(core: ModuleType) -> dict[str, list]:
    """Rules of each kind of step.

    Arguments:
        core: the package guidance_core, as the host imports it.
    """
    schedules, rules = core.schedules, core.rules
    energy = core.energies.color.MeanColor(torch.tensor([0.9, 0.1, 0.1]))
    box = core.energies.box.Box(
        (core.attention.words.Word("red circle", (3, 4)),), (0.1, 0.1, 0.5, 0.5)
    )
    forward, backward = rules.forward.Forward, rules.backward.Backward
    on, off = schedules.Constant(0.5), schedules.Constant(0.0)
    later = schedules.Window(sigma_start=SIGMA / 100)
    return {
        "plain": [],
        "forward": [forward(energy, on)],
        "attention": [forward(box, on)],
        "backward": [backward(energy, on)],
        "zero": [forward(energy, off), backward(energy, off)],
        "outside": [forward(energy, later), backward(energy, later), forward(box, later)],
    }


def sigmas(case: str) -> torch.Tensor:
    """Falling noise levels of one measured run."""
    return torch.linspace(SIGMA, SIGMA / 2, STEPS[case] + 1)
