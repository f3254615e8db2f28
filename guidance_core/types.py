"""The nouns of guidance: an estimate, and what can be asked of it and done to it.

Axes: B batch, C channels, *S space (and time), H W pixels, K capture-dependent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from .captures import Capture
from .noise import mixed_seed
from .notes import Notes
from .process import full_precision, radius
from .run import Run

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
            a frame of a video by those around it has `frame(x0, index)`, which does; one with
            `parts = True` is to be given a part of x0 alone where an energy looks at a part.
        captures: attention maps and features of that same evaluation, for each request one tensor
            (B, ...) per layer.
        cond: x0 of the positive branch alone, like x0.
        uncond: x0 of the negative branch alone, like x0; None where CFG is 1.
        notes: what energies tell of it besides their value; shared with estimates made of it.
        alpha: signal scale of the evaluation, shape (B,), filled in by `guided`; None is 1.
        behind: what is added to the next latent behind the sampler's step, shape (B, C, *S);
            `guided` turns it into a change of x0 that the step carries there.
        x: noisy latent of the evaluation, like x0, filled in by `guided`.
    """

    x0: Tensor
    sigma: Tensor
    decode: Callable[[Tensor], Tensor] | None = None
    captures: Mapping[Capture, tuple[Tensor, ...]] = field(default_factory=dict)
    cond: Tensor | None = None
    uncond: Tensor | None = None
    notes: Notes = field(default_factory=Notes)
    alpha: Tensor | None = None
    behind: Tensor | None = None
    x: Tensor | None = None
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

    def part(self, rows: slice, columns: slice) -> Tensor:
        """Image (B, 3, H, W) of some rows and columns of the latent x0 (B, C, h, w) alone.

        Decoded at most once. What the decoder would have seen around them is not there.
        """
        key = ("part", rows.start, rows.stop, columns.start, columns.stop)
        if key not in self._seen:
            own = replace(self, x0=self.x0[..., rows, columns])
            self._seen[key] = own.image
        return self._seen[key]  # type: ignore[no-any-return]

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

        Both branches move along, so that x0 - uncond remains the step of CFG. The noisy latent
        does not move, nor do captures, which belong to it, so that a rule on top still
        differentiates them through the model.
        """
        step = delta.detach().to(self.x0.dtype)
        cond = _same(self.cond, lambda part: part + step)
        uncond = _same(self.uncond, lambda part: part + step)
        return replace(self, x0=self.x0 + step, cond=cond, uncond=uncond)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Estimate:
        """A new estimate with `change` applied to all it holds of the evaluation, x last."""
        return replace(
            self,
            x0=change(self.x0),
            captures={key: tuple(map(change, parts)) for key, parts in self.captures.items()},
            cond=_same(self.cond, change),
            uncond=_same(self.uncond, change),
            behind=_same(self.behind, change),
            x=_same(self.x, change),
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
    `reads_image: bool`, and have `active(sigma: float) -> bool`, `within(mask) -> Energy` and
    `reached(sigma: float) -> float | None`, the value at or below which its request counts as met.
    One of a linear measurement has `linear`, see `inverse.LinearMeasurement`. One with
    `reads_noisy = True` depends on x and sigma alone.
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
