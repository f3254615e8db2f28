"""Train the shift of a U-Net's middle at each step of a run, on the images that it edits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..process import per_sample
from ..rules.asymmetric import Asymmetric, Middle, asymmetric, following
from ..run import Run
from ..types import Denoiser, Estimate, Schedule


@dataclass(frozen=True, eq=False)
class Teaching:
    """Takes a step of training at each noise level, and edits by what was learned.

    The run goes on from the edited latent, so that the shift is trained where it will be used.

    Arguments:
        energy: `energy(edited, plain)` is the loss (B,) of an edited estimate beside the plain one;
            None where the model itself tells what to learn, see `asked`.
        shift: `shift(h, sigma)` of h (B, C, h, w), whose parameters are trained.
        step: takes a step of training down a loss (B,).
        middle: of the network.
        strength: where there is training and editing: where it is not 0.
        asked: inside, the model sees another prompt. The loss is then the mean squared distance of
            where the step goes from where this prompt would lead it, in units of x0.
        repeats: steps of training at each noise level.
    """

    energy: Any | None
    shift: Callable[[Tensor, float], Tensor]
    step: Callable[[Any], None]
    middle: Middle
    strength: Schedule
    asked: Callable[[], AbstractContextManager[None]] | None = None
    repeats: int = 1
    look_at: str = "both"
    through_model: ClassVar[bool] = True
    one_step: ClassVar[bool] = True
    one_step_only: ClassVar[str] = Asymmetric.one_step_only

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One edited evaluation, after steps of training: x (B, C, *S), sigma (B,)."""
        level, x = float(sigma[0]), x.detach()
        if not self.strength(level):
            return denoise(x, sigma)
        with self.middle.shared(slope=False):
            with torch.no_grad():
                plain = denoise(x, sigma).detached()
                wanted = self._wanted(denoise, x, sigma)
            for _ in range(self.repeats):
                with torch.enable_grad(), self.middle.shifted(lambda h: self.shift(h, level)):
                    edited = denoise(x.clone().requires_grad_(), sigma)
                    change = edited.x0 - plain.x0
                    self.step(self._loss(edited, plain, wanted, run))
        return asymmetric(x, plain, change.detach(), run)

    def _wanted(self, denoise: Denoiser, x: Tensor, sigma: Tensor) -> Tensor | None:
        if self.asked is None:
            return None
        with self.asked():
            return denoise(x, sigma).x0.detach()

    def _loss(self, edited: Estimate, plain: Estimate, wanted: Tensor | None, run: Run) -> Any:
        """Loss of each sample, shape (B,)."""
        if wanted is None:
            return None if self.energy is None else self.energy(edited, plain)
        # A change c of x0 leads where a change (alpha_next / share) c of Euler's x0 would.
        sigma = plain.sigma
        reach = run.alpha(following(sigma, run)) / run.carried(float(sigma[0]))
        apart = plain.x0 + per_sample(reach, wanted) * (edited.x0 - plain.x0) - wanted
        return apart.float().square().flatten(1).mean(1)
