"""The nouns of guidance: an estimate, and what can be asked of it and done to it.

Axes: B batch, C channels, *S space (and time), H W pixels, K capture-dependent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from .captures import Capture
from .noise import mixed_seed, seeded_noise
from .notes import Notes
from .process import ONE_STEP_ONLY, euler_share, full_precision, radius
from .trace import Record

T = TypeVar("T")


def _same(part: Tensor | None, change: Callable[[Tensor], Tensor]) -> Tensor | None:
    return None if part is None else change(part)


@dataclass(frozen=True, eq=False)
class Estimate:
    """What one evaluation of the model believes about the clean sample.

    Arguments:
        x0: clean estimate after classifier-free guidance, shape (B, C, *S), model latent units.
        sigma: noise level of the evaluation, shape (B,).
        decode: differentiable map from x0 to an image (B, 3, H, W) in [0, 1]. One that decodes
            a frame of a video by those around it has `frame(x0, index)`, which does.
        captures: attention maps and features of that same evaluation, for each request one tensor
            (B, ...) per layer.
        cond: x0 of the positive branch alone, like x0.
        uncond: x0 of the negative branch alone, like x0; None where CFG is 1.
        notes: what energies tell of it besides their value; shared with estimates made of it.
        alpha: signal scale of the evaluation, shape (B,), filled in by `guided`; None is 1.
    """

    x0: Tensor
    sigma: Tensor
    decode: Callable[[Tensor], Tensor] | None = None
    captures: Mapping[Capture, tuple[Tensor, ...]] = field(default_factory=dict)
    cond: Tensor | None = None
    uncond: Tensor | None = None
    notes: Notes = field(default_factory=Notes)
    alpha: Tensor | None = None
    _seen: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def radius(self) -> Tensor:
        """Root mean square of the noisy latent where x0 has unit variance, shape (B,)."""
        return radius(self.sigma, self.sigma.new_ones(()) if self.alpha is None else self.alpha)

    @cached_property
    def image(self) -> Tensor:
        """Decoded estimate, shape (B, 3, H, W), values in [0, 1]; decoded at most once.

        Of a video it is one frame, another at each noise level.
        """
        if self.frames > 1:
            return self.frame(mixed_seed(0, float(self.sigma[0])) % self.frames).image
        if self.decode is None:
            raise ValueError(
                "this energy reads the image, but nothing decodes the latent: "
                "connect a VAE, or choose a decoder, where the guidance is applied"
            )
        return self.decode(self.x0)

    @property
    def frames(self) -> int:
        """Number of latent frames: T of a video (B, C, T, h, w), 1 of an image."""
        return self.x0.shape[2] if self.x0.ndim == 5 else 1

    def frame(self, index: int) -> Estimate:
        """One latent frame of a video as an estimate of its own, (B, C, 1, h, w).

        The frames around it, which its decoder may need, are constants. Captures are left out.
        """
        if self.frames == 1:
            return self
        one = replace(self, captures={}).mapped(lambda values: values[:, :, index : index + 1])
        decode: Any = getattr(self.decode, "frame", None)
        if decode is None:
            return one
        video = self.x0.detach()
        before, after = video[:, :, :index], video[:, :, index + 1 :]
        return replace(one, decode=lambda x0: decode(torch.cat([before, x0, after], 2), index))

    def image_through(self, look: Callable[[Tensor], T]) -> T:
        """What `look` makes of the image in full precision; computed at most once.

        So energies of one network share its forward pass. `look` is a network, one of its methods,
        or a frozen dataclass, all compared by equality.
        """
        if look not in self._seen:
            self._seen[look] = look(full_precision(self.image))
        return self._seen[look]  # type: ignore[no-any-return]

    def capture(self, request: Capture) -> tuple[Tensor, ...]:
        """One capture, a tensor (B, ...) per layer; the error lists what was recorded."""
        if request not in self.captures:
            there = "; ".join(map(str, self.captures)) or "nothing"
            raise KeyError(f"there is no {request} in this estimate: recorded was {there}")
        return self.captures[request]

    def seen(self, look_at: str) -> Estimate:
        """The estimate that an energy is shown: x0 as it is, or in its place the positive branch.

        Above CFG 1 x0 lies beyond both branches, where the model itself puts no image; the positive
        branch is an image that the model believes in, and has a derivative of its own. Which one
        energies are obeyed by is measured in docs/cfg.md.

        Arguments:
            look_at: the estimate of the positive branch (positive), or the result of CFG with the
                slope of its positive branch (cfg) or of both branches (both, its true derivative,
                at the cost of a second graph). The slope of x0 is the host's work; where a rule of
                a stack looks at both, x0 has that of both for all.
        """
        if look_at == "positive" and self.cond is not None:
            return replace(self, x0=self.cond)
        return self

    def moved(self, delta: Tensor) -> Estimate:
        """The estimate at x0 + delta, with delta (B, C, *S) taken as a constant.

        Both branches move along, so that x0 - uncond remains the step of CFG. Captures stay: they
        belong to the noisy latent of the evaluation, which does not move, so that a rule on top
        still differentiates them through the model.
        """
        step = delta.detach().to(self.x0.dtype)
        cond = _same(self.cond, lambda part: part + step)
        uncond = _same(self.uncond, lambda part: part + step)
        return replace(self, x0=self.x0 + step, cond=cond, uncond=uncond)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Estimate:
        """A new estimate with `change` applied to x0, to both branches and to every capture."""
        return replace(
            self,
            x0=change(self.x0),
            captures={key: tuple(map(change, parts)) for key, parts in self.captures.items()},
            cond=_same(self.cond, change),
            uncond=_same(self.uncond, change),
        )

    def detached(self) -> Estimate:
        """The same estimate without a graph."""
        return self.mapped(Tensor.detach)


class Denoiser(Protocol):
    """One model evaluation: x (B, C, *S) and sigma (B,) to an Estimate."""

    def __call__(self, x: Tensor, sigma: Tensor, /) -> Estimate:
        """Estimate the clean sample."""
        ...


class Energy(Protocol):
    """How far an estimate is from what was asked: (B,), lower is better, row by row.

    Besides being called, an energy may declare `captures: frozenset[Capture]` and
    `reads_image: bool`, and have `active(sigma: float) -> bool` and `within(mask) -> Energy`.
    One of a linear measurement has `linear`, see `inverse.LinearMeasurement`.
    Guide networks are found in its fields. A wrapper holds its energy in a field `energy`, or
    several in `parts` of (weight, energy), and declares nothing for them. One of captures that
    reads x0 besides has `captures_only = False`.
    """

    def __call__(self, estimate: Estimate, /) -> Tensor:
        """Energy of each sample."""
        ...


class Schedule(Protocol):
    """Strength at a noise level; at 0 the work is skipped, not multiplied."""

    def __call__(self, sigma: float, /) -> float:
        """Strength at this noise level."""
        ...


class Rule(Protocol):
    """Steers one evaluation: takes a denoiser and gives a better estimate."""

    def __call__(self, denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run, /) -> Estimate:
        """One guided evaluation."""
        ...


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
    """

    alpha: Callable[[Tensor], Tensor]
    sigmas: Tensor
    record: Callable[[Record], None] = lambda record: None
    seed: int = 0
    share: Callable[[float, float], float] | None = euler_share
    positive_alone: Callable[[], AbstractContextManager[None]] = nullcontext
    numbers: tuple[int, ...] | None = None

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
