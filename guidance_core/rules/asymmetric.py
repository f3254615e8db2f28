"""Edit by a shift of the middle of a U-Net: x0 from the shifted model, direction from the model.

References:
    Diffusion Models already have a Semantic Latent Space (Asyrp), Kwon et al. 2023,
    arXiv:2210.10960, equations 4 to 6 (asymmetric reverse process), section 4 (quality boosting).
    Deviates: both windows are given, not found from LPIPS; the noise that is put back is that of
    an ancestral step (eta 1 of DDIM), and x0 after classifier-free guidance takes the place of the
    unconditional one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from ..process import ancestral_noise, eps_from_x0, per_sample
from ..run import Run
from ..types import Denoiser, Estimate, Schedule


class Middle(Protocol):
    """The middle of a network, whose encoder is shared by evaluations of one latent."""

    def shared(self, *, slope: bool = True) -> AbstractContextManager[None]:
        """Evaluations inside that see the same latent run the encoder once.

        One with a graph runs it again, unless its `slope` is not asked for.
        """
        ...

    def shifted(self, change: Callable[[Tensor], Tensor]) -> AbstractContextManager[None]:
        """Evaluations inside add `change(h)` to h (B, C, h, w), the output of the middle."""
        ...


@dataclass(frozen=True, eq=False)
class Shift:
    """One of the shifts that are summed.

    Arguments:
        direction: `direction(h, sigma)` gives a shift of h (B, C, h, w), which broadcasts to it.
        strength: factor, of either sign.
        window: where it is added: where it is not 0.
    """

    direction: Callable[[Tensor, float], Tensor]
    strength: float
    window: Schedule


@dataclass(frozen=True, eq=False)
class Asymmetric:
    """The next latent takes x0 from the shifted model and its noise from the model as it is.

    With D and n the estimate and the noise that the model predicts, and D~ the estimate of the
    shifted model: x_next = alpha_next D~ + sigma_next n. Inside `boost` new noise takes the place
    of a part of n, as in an ancestral step: x_next = alpha_next D~ + sigma_down n + sigma_up n'.

    The estimate that is returned is D~, which rules around this one see; the rest is left `behind`
    the step.

    Arguments:
        shifts: summed where several have work.
        middle: of the network.
        boost: where noise is put back: where it is not 0.
    """

    shifts: tuple[Shift, ...]
    middle: Middle
    boost: Schedule | None = None
    through_model: ClassVar[bool] = False
    one_step: ClassVar[bool] = True
    one_step_only: ClassVar[str] = (
        "h-space Edit takes x0 and the noise of a step from two evaluations, which needs a sampler "
        "of one evaluation a step and no memory, and noise levels that only fall: use euler, ddim, "
        "euler_ancestral, ddpm or lcm, without churn"
    )
    euler_only: ClassVar[str] = (
        "boost_start puts noise back into the steps, which needs a sampler that adds none itself: "
        "use euler or ddim without churn, or set boost_start of h-space Edit to 1"
    )

    @property
    def replaces_noise(self) -> bool:
        """Whether new noise takes the place of a part of the sampler's."""
        return self.boost is not None

    def strength(self, sigma: float) -> float:
        """Above 0 where there is work at a noise level."""
        return float(bool(self._active(sigma)) or self._boosted(sigma))

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        """One edited evaluation: x (B, C, *S), sigma (B,)."""
        level = float(sigma[0])
        shifts = self._active(level)
        if not shifts:
            estimate, change = denoise(x, sigma), None
        else:
            # The shifted one first: samplers that look at the last evaluation see the model's own.
            with self.middle.shared():
                shift = partial(_summed, shifts, level)
                with torch.no_grad(), self.middle.shifted(shift):
                    edited = denoise(x.detach(), sigma).x0.detach()
                estimate = denoise(x, sigma)
            change = edited - estimate.x0.detach()
        found = asymmetric(x.detach(), estimate, change, run)
        return self._with_noise(x.detach(), found, estimate, run) if self._boosted(level) else found

    def _with_noise(self, x: Tensor, found: Estimate, plain: Estimate, run: Run) -> Estimate:
        """The estimate with new noise left behind the step, in the place of some of its own."""
        sigma = plain.sigma
        down, up = ancestral_noise(sigma, following(sigma, run), run.alpha)
        noise = eps_from_x0(plain.x0.detach(), x, sigma, run.alpha(sigma))
        added = per_sample(down - following(sigma, run), x) * noise
        added = added + per_sample(up, x) * run.noise(x, float(sigma[0]))
        return replace(found, behind=added if found.behind is None else found.behind + added)

    def _active(self, sigma: float) -> tuple[Shift, ...]:
        return tuple(one for one in self.shifts if one.strength and one.window(sigma))

    def _boosted(self, sigma: float) -> bool:
        return self.boost is not None and self.boost(sigma) > 0


def asymmetric(x: Tensor, plain: Estimate, change: Tensor | None, run: Run) -> Estimate:
    """The edited estimate, with what makes the step keep the plain one's noise left behind it.

    Arguments:
        x: latent, shape (B, C, *S).
        plain: the model's own estimate there.
        change: of x0, to that of the shifted model; None where it is not shifted.
        run: facts of this run.
    """
    if change is None:
        return plain
    rest = run.alpha(following(plain.sigma, run)) - run.carried(float(plain.sigma[0]))
    return replace(plain.moved(change), behind=per_sample(rest, x) * change)


def following(sigma: Tensor, run: Run) -> Tensor:
    """The next noise level, shape (B,)."""
    return sigma.new_full(sigma.shape, run.next_sigma(float(sigma[0])))


def _summed(shifts: tuple[Shift, ...], sigma: float, h: Tensor) -> Tensor:
    first, *others = (one.strength * one.direction(h, sigma) for one in shifts)
    return sum(others, first)
