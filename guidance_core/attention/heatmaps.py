"""Attention maps of a reference as images of one size."""

from __future__ import annotations

import torch
from torch import Tensor

from ..captures import Attention, Layers
from .maps import resized
from .references import Reference
from .words import Word, attention_to


def heatmaps(
    reference: Reference, words: tuple[Word, ...], sigma: float, size: tuple[int, int]
) -> Tensor:
    """Attention of the image to each word: (B, N, H, W), values in [0, 1]; frames are images too.

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
    return _stretched(_layers(reference, words, sigma, size).mean(1))


def heatmaps_by_layer(
    reference: Reference, words: tuple[Word, ...], sigma: float, size: tuple[int, int]
) -> Tensor:
    """The maps of `heatmaps`, then those of each layer alone: (B, 1 + L, N, H, W)."""
    layers = _layers(reference, words, sigma, size)
    return _stretched(torch.cat([layers.mean(1, keepdim=True), layers], 1))


def layer_sizes(reference: Reference, words: tuple[Word, ...]) -> list[tuple[int, int]]:
    """Height and width of the maps of each layer, as the model has them."""
    first = next(iter(reference.recorded))
    request = attention_to(words, _named(reference))
    return [(value.shape[-2], value.shape[-1]) for value in reference.at(first, request)]


def _stretched(maps: Tensor) -> Tensor:
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    return (maps - low) / (high - low).clamp_min(1e-12)


def _layers(
    reference: Reference, words: tuple[Word, ...], sigma: float, size: tuple[int, int]
) -> Tensor:
    """Attention to each word in each layer: (B, L, N, H, W)."""
    if not words:
        raise ValueError("no words were chosen: choose at least one word of the prompt")
    return torch.stack([_word_maps(reference, word, sigma, size) for word in words], 2)


def _word_maps(reference: Reference, word: Word, sigma: float, size: tuple[int, int]) -> Tensor:
    values = reference.at(sigma, attention_to((word,), _named(reference)))
    pictures = [value.float().sum(1).flatten(0, -3)[:, None] for value in values]
    return torch.cat([resized(part, size) for part in pictures], 1)


def _named(reference: Reference) -> Layers:
    """What the recorded layers of attention were called."""
    level = next(iter(reference.recorded.values()))
    return next((there.layers for there in level if isinstance(there, Attention)), "default")
