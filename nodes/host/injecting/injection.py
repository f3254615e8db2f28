"""What a MODEL is given of a source image, and the runs that it fits.

References:
    Direct Inversion, Ju et al. 2023, arXiv:2310.01506 (the source on its own path).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ....guidance_core.attention.alignment import Alignment
from ....guidance_core.procedures.inversion import Path
from ....guidance_core.process import lengths
from ....guidance_core.schedules import PercentWindow

# What tells a prompt's cond in a sampler.
TAG = "energy_guidance_edited"
# What a prompt's cond tells the model beside its text.
BESIDE = ("guidance", "reference_latents", "reference_latents_method")
LEVEL = 1e-3


@dataclass(frozen=True, eq=False)
class Blend:
    """Where the edit may show: where the source or the target attends to words.

    Arguments:
        source: places of the words in the source's context; may be none.
        target: those in the target's.
        layers: whose attention.
        threshold: as in `blend_mask`.
        window: where it acts; attention is collected from the first step on.
    """

    source: tuple[int, ...]
    target: tuple[int, ...]
    layers: tuple[str, ...]
    threshold: float
    window: PercentWindow


@dataclass(frozen=True, eq=False)
class Injection:
    """What a MODEL is given of a source.

    Arguments:
        name: of the node, for messages.
        source: CONDITIONING of the source's prompt.
        path: of an inverted image; None samples the source first.
        tag: of the prompt whose rows are changed; None changes the rows of all prompts.
        own: layers whose self-attention is the source's, and where.
        most: largest number of places of these layers; 0 for no limit.
        cross: layers whose attention to the prompt is edited, and where.
        alignment: how it is edited.
        features: layers whose features are the source's, and where.
        blend: where the edit may show; None for the whole image.
        shared: layers whose keys and values of self-attention are the sources', and where.
        itself: layers of joint attention whose image attends to itself as the source's, and where.
        mix: how much of each of several sources each row is given, shape (rows, sources); None
            for one source.
    """

    name: str
    source: Any
    path: Path | None
    tag: Any = None
    own: tuple[tuple[str, ...], PercentWindow | None] = ((), None)
    most: int = 0
    cross: tuple[tuple[str, ...], PercentWindow | None] = ((), None)
    alignment: Alignment | None = None
    features: tuple[tuple[str, ...], PercentWindow | None] = ((), None)
    blend: Blend | None = None
    shared: tuple[tuple[str, ...], PercentWindow | None] = ((), None)
    mix: Tensor | None = None
    itself: tuple[tuple[str, ...], PercentWindow | None] = ((), None)


def check(injection: Injection, guider: Any, noise: Tensor, sigmas: Tensor) -> None:
    """Refuse a run that an injection does not fit, before the model is evaluated.

    Raises:
        ValueError: the prompt is another one, or the path is of another size or of other levels.
    """
    if injection.tag is not None and not edited(injection, guider):
        raise ValueError(
            f"the sampler's positive prompt is not that of {injection.name}: connect the positive "
            f"output of {injection.name} to it"
        )
    path = injection.path
    if path is None:
        return
    there = path.states.shape[1:]
    fitting = (1, len(noise)) if injection.mix is None else (injection.mix.shape[1],)
    if there[1:] != noise.shape[1:] or there[0] not in fitting:
        raise ValueError(
            f"{injection.name}: the path is of latents of {lengths(path.states[0])}, this run's "
            f"are {lengths(noise)}: invert an image of this size, one or as many as the batch has"
        )
    levels = path.sigmas.to(sigmas)
    apart = (sigmas[:-1, None] - levels[None, :-1]).abs().amin(1)
    if (apart > LEVEL * sigmas[:-1]).any():
        raise ValueError(
            f"{injection.name}: the path was made at other noise levels than this run has: use "
            "the steps, scheduler and denoise of Invert in the sampler"
        )


def beside(injection: Injection, guider: Any, conds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Conds of the source with what those of the edit tell the model beside their text."""
    targets = edited(injection, guider) if injection.tag is not None else []
    given = {key: one[key] for one in targets[:1] for key in BESIDE if key in one}
    return [{**given, **cond} for cond in conds]


def edited(injection: Injection, guider: Any) -> list[dict[str, Any]]:
    """Conds of the prompt whose rows are changed."""
    conds = guider.conds.get("positive") or []
    return [cond for cond in conds if cond.get(TAG) == injection.tag]
