"""Attention maps of a reference as pictures of one size."""

from __future__ import annotations

import torch
from torch import Tensor

from .captures import Attention
from .references import Reference
from .tokens import Word


def heatmaps(
    reference: Reference, words: tuple[Word, ...], sigma: float, size: tuple[int, int]
) -> Tensor:
    """Where the picture looks at each word: (B, N, H, W), values in [0, 1].

    The attention to a word's positions is added, layers are averaged at the size asked for, and
    each map is stretched from its lowest to its highest value.

    Arguments:
        reference: holds maps of these words.
        words: N words.
        sigma: noise level; the nearest recorded one is shown.
        size: height and width of the maps.

    Raises:
        ValueError: there are no words, or the reference holds no maps of them.
    """
    if not words:
        raise ValueError("no words were chosen: choose at least one word of the prompt")
    maps = torch.stack([_word_map(reference, word, sigma, size) for word in words], 1)
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    return (maps - low) / (high - low).clamp_min(1e-12)


def _word_map(reference: Reference, word: Word, sigma: float, size: tuple[int, int]) -> Tensor:
    level = next(iter(reference.captures.values()))
    layers = next((there.layers for there in level if isinstance(there, Attention)), "default")
    values = reference.at(sigma, Attention(word.positions, layers))
    summed = [value.float().sum(1, keepdim=True) for value in values]
    resized = [
        torch.nn.functional.interpolate(part, size, mode="bilinear", align_corners=False)
        for part in summed
    ]
    return torch.cat(resized, 1).mean(1)
