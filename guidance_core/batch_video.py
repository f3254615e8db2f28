"""A batch that stands for time (SVD, AnimateDiff): seen as one video by a rule that asks for it.

The samples (B, C, h, w) become the frames of one video (1, C, B, h, w). The rule then sizes its
step for the video as a whole, and its energies look at frames as in any other video.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from .process import lengths
from .run import Run
from .trace import Record
from .types import Denoiser, Estimate, Rule


def with_batch_as_video(rule: Rule) -> Rule:
    """The same rule, which takes the samples of a batch of images for the frames of one video.

    Its records are of one sample, see `repeated`.
    """

    def steered(denoise: Denoiser, x: Tensor, sigma: Tensor, run: Run) -> Estimate:
        if x.ndim != 4:
            raise ValueError(
                "the frames of a video are the batch only where latents are images, "
                f"B x C x h x w, got {lengths(x)}: set time to latent frames"
            )

        def of_video(video: Tensor, level: Tensor) -> Estimate:
            return _as_video(denoise(_batch(video), sigma))

        numbers = None if run.numbers is None else run.numbers[:1]
        estimate = rule(of_video, _video(x), sigma[:1], replace(run, numbers=numbers))
        return _as_batch(estimate, sigma)

    return steered


def repeated(record: Record, count: int) -> Record:
    """The record of one video told for each of its samples, as those of other rules are."""
    if count == 1:
        return record

    def each(values: Tensor) -> Tensor:
        return values.expand(count) if values.shape == (1,) else values

    return replace(
        record,
        energy=each(record.energy),
        grad_norm=each(record.grad_norm),
        push=each(record.push),
        cfg_push=None if record.cfg_push is None else each(record.cfg_push),
        terms={name: each(term) for name, term in record.terms.items()},
    )


def _video(values: Tensor) -> Tensor:
    """Samples (B, ..., h, w) as the frames of one video (1, ..., B, h, w)."""
    return values.movedim(0, -3)[None]


def _batch(values: Tensor) -> Tensor:
    """Frames of one video (1, ..., B, h, w) as samples (B, ..., h, w)."""
    return values[0].movedim(-3, 0)


@dataclass(frozen=True, eq=False)
class _Frames:
    """Decodes frames of a video (1, C, T, h, w) as images (T, 3, H, W), by a decoder of images."""

    decode: Callable[[Tensor], Tensor]

    def __call__(self, x0: Tensor) -> Tensor:
        return self.decode(_batch(x0))


def _as_video(estimate: Estimate) -> Estimate:
    decode = None if estimate.decode is None else _Frames(estimate.decode)
    alpha = None if estimate.alpha is None else estimate.alpha[:1]
    return replace(estimate.mapped(_video), sigma=estimate.sigma[:1], alpha=alpha, decode=decode)


def _as_batch(estimate: Estimate, sigma: Tensor) -> Estimate:
    inner: Any = estimate.decode
    decode = None if inner is None else inner.decode
    alpha = None if estimate.alpha is None else estimate.alpha.expand(len(sigma))
    return replace(estimate.mapped(_batch), sigma=sigma, alpha=alpha, decode=decode)
