"""Maps of attention as Diffusion Self-Guidance measures them, in the numbers of its released code.

References:
    Diffusion Self-Guidance for Controllable Image Generation, Epstein et al. 2023,
    arXiv:2306.00986, section 3.2 and its SDXL demo.
    Deviates from the demo: extremes are taken over each map, as in the paper, not over the rows of
    all words together.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .words import Word

MEASURES = ("adapted", "published")
EPSILON = 1e-4  # of the demo, absolute


def each_token(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """A word for each token of words: the published measures are means over tokens."""
    return tuple(
        replace(word, positions=(position,)) for word in words for position in word.positions
    )


def measured(
    words: tuple[Word, ...], source: tuple[Word, ...], measure: str
) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """What is measured by itself, words or (published) their tokens: here, and in the source.

    Without source words the prompt of the source is the same, and so are its words.

    Raises:
        ValueError: they are not as many.
    """
    here, there = words, source or words
    if measure == "published":
        here, there = each_token(here), each_token(there)
    if len(here) != len(there):
        kind = "tokens" if measure == "published" else "words"
        raise ValueError(
            f"expected as many {kind} of the source's prompt as of this one, one for each, got "
            f"{len(there)} and {len(here)}: choose in both Prompt Words what stands for the same "
            "objects, in the same order"
        )
    return here, there


def soft_masks(maps: Tensor) -> Tensor:
    """Soft masks of maps (..., h, w): a sigmoid of slope 10 about the middle, stretched."""
    return _stretched((10 * (_stretched(maps) - 0.5)).sigmoid())


def hard_masks(maps: Tensor) -> Tensor:
    """Where maps (..., h, w) are above the middle between their extremes, 1, and 0 elsewhere."""
    return (_stretched(maps) > 0.5).to(maps)


def centroid(maps: Tensor) -> Tensor:
    """Centre of mass of bare maps (..., h, w), eq. (4): x and y (..., 2), 0 and 1 at edge cells."""
    return torch.stack([_mean_place(maps.sum(-2)), _mean_place(maps.sum(-1))], -1)


def _mean_place(line: Tensor) -> Tensor:
    places = torch.linspace(0, 1, line.shape[-1], dtype=line.dtype, device=line.device)
    return (line * places).sum(-1) / (line.sum(-1) + EPSILON)


def _stretched(maps: Tensor) -> Tensor:
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    return (maps - low) / (high - low + EPSILON)
