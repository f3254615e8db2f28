"""Null-text optimisation: the negative prompt by which classifier-free guidance follows a path.

At each step of an inverted image the states of the negative prompt are moved until the step of
guidance leads where the path does. An edit that is sampled with them begins from an image that
guidance reproduces.

References:
    Null-text Inversion for Editing Real Images using Guided Diffusion Models, Mokady et al. 2022,
    arXiv:2211.09794, section 3.2 and algorithm 1, and its code: Adam, ten iterations a step begun
    at the step before, the rate falling from 0.01 to half of it, an early stop that rises.
    Deviates: rate and stop go with the share of the steps, which are 50 there, and of fewer steps
    each has a rate as much larger, since the states have to go as far; twenty iterations are the
    default; samples of a batch have states of their own and stop by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..run import Run
from ..types import Denoiser, Estimate
from .inversion import Path

# Of a run of PUBLISHED steps.
RATE, PUBLISHED, ITERATIONS = 1e-2, 50, 20
# Mean squared distance from the path, of latents of unit variance: at the first step, and more at
# the last one.
CLOSE, LATER = 1e-5, 1e-3


@dataclass(eq=False)
class NullText:
    """A rule that finds the states for each step, and takes it with them.

    The run is one at CFG 1 of the prompt that the path was made with.

    Arguments:
        path: of the images, whose noise levels are the run's.
        states: of the negative prompt, shape (1 or B, N, D); the start.
        cfg: scale of classifier-free guidance, not 1.
        shown: `shown(states)`, inside which the model sees states (B, N, D) in place of the prompt.
        found: receives of each step its states and how far it leads from the path, (B,); a plain
            function, so that the copies of this rule share it.
        iterations: steps of Adam at each noise level, >= 1.

    Raises:
        ValueError: cfg is 1, or no iterations.
    """

    path: Path
    states: Tensor
    cfg: float
    shown: Callable[[Tensor], AbstractContextManager[None]]
    found: Callable[[Tensor, Tensor], None]
    iterations: int = ITERATIONS
    through_model: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.cfg == 1:
            raise ValueError("cfg 1 evaluates no negative prompt: choose another cfg, such as 7.5")
        if self.iterations < 1:
            raise ValueError(f"iterations must be >= 1, got {self.iterations}")

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One step: x (B, C, *S) at sigma (B,)."""
        levels = self.path.sigmas.to(sigma)
        step = int((levels[:-1] - sigma[0]).abs().argmin())
        estimate, following = denoise(x, sigma).detached(), self.path.states[step + 1].to(x)
        share = 1 - levels[step + 1] / levels[step]
        unit = (run.alpha(levels[step + 1 :][:1]).square() + levels[step + 1].square()).sqrt()

        def guided(states: Tensor, at: Tensor) -> Tensor:
            with self.shown(states):
                uncond = denoise(at, sigma).x0
            return uncond + self.cfg * (estimate.x0 - uncond)

        def apart(x0: Tensor) -> Tensor:
            reached = x + share * (x0 - x)
            return ((reached - following) / unit).float().square().flatten(1).mean(1)

        loss = lambda states: apart(guided(states, x.detach().requires_grad_()))
        steps = len(levels) - 1
        part = step / steps
        rate = RATE * PUBLISHED / steps * (1 - part / 2)
        start = self.states.to(x.device).float().expand(len(x), -1, -1)
        self.states = adapted(loss, start, self.iterations, rate, CLOSE + LATER * part)
        x0 = guided(self.states, x.detach()).detach()
        self.found(self.states, apart(x0))
        return estimate.moved(x0 - estimate.x0)


def adapted(
    loss: Callable[[Tensor], Tensor], states: Tensor, iterations: int, rate: float, close: float
) -> Tensor:
    """States (B, N, D) moved down a loss (B,) by Adam, each sample until its loss is that close."""
    states = states.detach().clone().requires_grad_()
    adam = torch.optim.Adam([states], rate)
    for _ in range(iterations):
        with torch.enable_grad():
            value = loss(states)
            going = value.detach() >= close
            if not going.any():
                break
            (states.grad,) = torch.autograd.grad(value.sum(), states)
        before = states.detach().clone()
        adam.step()
        with torch.no_grad():
            states.copy_(torch.where(going[:, None, None], states, before))
    return states.detach()
